"""What is handed out: the source archive is the repository, the conformance suite a distribution of its own."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.command import PYOCI, run
from tests.support.sources import LIST, TREE

pytestmark = [pytest.mark.root, pytest.mark.slow]


# What a build leaves in a checkout: what .gitignore says of pyoci, and examples of the rest
BUILT = [
    *re.findall(r"^/(pyoci/.*[^/\n])$", (TREE / ".gitignore").read_text().replace("*", "x"), re.MULTILINE),
    *("pyoci/programs/init", "pyoci/x/__pycache__/a.pyc", "build/bin/pyoci", "conformance/build/lib/x.py"),
]


def known() -> "list[str]":
    if not (TREE / ".git").exists():
        pytest.skip("not a checkout")
    names = subprocess.run(LIST, cwd=TREE, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(name for name in names if name and (TREE / name).is_file())


def copied(target: Path, below: str = "") -> Path:
    """What git knows, and files as a build leaves them."""
    for name in known():
        if name.startswith(below):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / name, target / name)
    return target


def pip(*words: str, **more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words],
        check=False, capture_output=True, text=True, env={**os.environ, **more},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_source_archive_is_the_repository(tmp_path: Path) -> None:
    sources = copied(tmp_path / "sources")
    for name in {*BUILT} - {*known()}:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).touch()
    script = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    done = subprocess.run([sys.executable, "-c", script], cwd=sources, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (archive,) = (sources / "dist").iterdir()
    with tarfile.open(archive) as opened:
        found = {name.partition("/")[2] for name in opened.getnames() if opened.getmember(name).isfile()}
        programs = {one.name.partition("/")[2] for one in opened.getmembers() if one.isfile() and one.mode & 0o100}
    added = {name for name in found if name in ("PKG-INFO", "setup.cfg") or ".egg-info/" in name}
    assert sorted(found - added) == known()
    assert {".ci/run", "tests/tools/install.sh", "tests/hosts/hosts.py"} <= programs


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the conformance suite."""
    place = tmp_path_factory.mktemp("suite")
    copied(place, "conformance/")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(place), str(place / "conformance"))
    (wheel,) = place.glob("oci_conformance-*.whl")
    return wheel


def test_the_suite_needs_neither_the_runtime_nor_a_compiler(suite: Path, tmp_path: Path) -> None:
    pip("install", "--no-deps", "--no-index", "--target", str(tmp_path / "site"), str(suite))
    assert sorted(path.name for path in (tmp_path / "site").iterdir() if "dist-info" not in path.name) == [
        "bin",
        "conformance",
    ]
    assert not (tmp_path / "site/conformance/setup.py").exists()
    (tmp_path / "bin").mkdir()
    for name in ("ip", "mount", "sh"):
        os.symlink(str(shutil.which(name)), tmp_path / "bin" / name)
    environment = {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path / "site")}
    words = [
        sys.executable,
        str(tmp_path / "site/bin/oci-conformance"),
        "--runtime",
        PYOCI,
        "--select",
        "config.root",
        "--jobs",
        "1",
    ]
    ran = run(words, env=environment, cwd="/")
    assert ran.ok and " pass" in ran.err and "0 pass" not in ran.err, ran


def test_the_suites_wheel_is_for_every_python_of_a_processor(suite: Path) -> None:
    assert suite.name.endswith(f"-py3-none-linux_{os.uname().machine}.whl")
    with zipfile.ZipFile(suite) as opened:
        probe = opened.getinfo(f"conformance/probe/probe-{os.uname().machine}")
    assert probe.file_size > 100_000


def test_where_there_is_no_compiler_the_suite_is_for_every_machine(tmp_path: Path) -> None:
    copied(tmp_path, "conformance/")
    words = ["--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path), str(tmp_path / "conformance")]
    pip("wheel", *words, CC="no-such-compiler")
    assert [path.name.endswith("-py3-none-any.whl") for path in tmp_path.glob("*.whl")] == [True]


def test_the_two_distributions_have_one_version() -> None:
    import tomllib

    import pyoci

    with (TREE / "conformance/pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == pyoci.__version__
    assert f"\n## [{pyoci.__version__}] - 2" in (TREE / "CHANGELOG.md").read_text()

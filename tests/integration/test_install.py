"""`pip install .` in a fresh virtual environment gives a working `pyoci`, for every Python that is here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.support.box import Box
from tests.support.command import run
from tests.support.sources import TREE, copy

pytestmark = [pytest.mark.root, pytest.mark.slow]
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]


# Compiled files that claim to need no check, and tell when they run
POISON = """
import importlib._bootstrap_external as external, importlib.util, os, sys
from pathlib import Path
code = compile(f"open({sys.argv[2]!r}, 'w').close()", "poison", "exec")
for path in Path(sys.argv[1]).rglob("*.py"):
    target = Path(importlib.util.cache_from_source(str(path)))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(external._code_to_hash_pyc(code, b"12345678", False))
"""


def interpreter(version: str) -> Optional[str]:
    """An interpreter of a version: on PATH, or where pyenv and Debian keep them."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return os.path.realpath(sys.executable)
    places = [*map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")), f"/usr/bin/python{version}"]
    found = shutil.which(f"python{version}")
    for place in [*places, *([found] if found else [])]:
        if os.path.exists(place) and subprocess.call([place, "-c", "import venv"], stderr=subprocess.DEVNULL) == 0:
            return place
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_pip_install(box: Box, tmp_path: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    if not (TREE / ".git").exists():
        pytest.skip("not a checkout")
    copy(tmp_path / "sources")
    venv = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(tmp_path / "sources")]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    program = venv / "bin" / "pyoci"
    elsewhere = {"env": {"PATH": "/bin:/usr/bin"}, "cwd": "/"}
    shutil.rmtree(tmp_path / "sources")

    said = run([str(program), "--version"], **elsewhere)
    assert said.ok and said.out.startswith("pyoci version "), said
    assert json.loads(run([str(program), "features"], **elsewhere).out)["ociVersionMax"]
    bundle = box.bundle().shell("echo pid $$; hostname")
    bundle.write()
    root = ["--root", str(box.root)]
    ran = run([str(program), *root, "run", "--bundle", str(bundle.path), "c"], **elsewhere)
    assert (ran.status, ran.out, ran.err) == (0, "pid 1\nbox\n", ""), ran
    bundle.args("sleep", "1000").write()
    for words in (["create", "--bundle", str(bundle.path), "c"], ["start", "c"], ["state", "c"], ["exec", "c", "true"],
                  ["list"], ["ps", "c"], ["kill", "c", "KILL"], ["delete", "--force", "c"]):  # fmt: skip
        result = run([str(program), *root, *words], **elsewhere)
        assert result.ok and not result.err, result
    # the version imported must be that of the environment, whatever lies in the working directory
    assert run([str(program), "--version"], cwd=str(TREE)).out == said.out
    assert box.left() == []

    (place,) = venv.glob("lib/python*/site-packages")
    (about,) = place.glob("pyoci_runtime-*.dist-info/METADATA")
    extras = {line.split(": ")[1] for line in about.read_text().splitlines() if line.startswith("Provides-Extra")}
    assert extras >= {"systemd", "checkpoint", "conformance"} and not (place / "conformance").exists()

    # P5: whoever can plant compiled files beside our modules runs nothing
    canary = tmp_path / "canary"
    (package,) = venv.glob("lib/python*/site-packages/pyoci")
    if shutil.which("musl-gcc") and not {"CC", "STATIC_CC"} & set(os.environ):
        assert b"GLIBC_TUNABLES" not in (package / "programs" / "init").read_bytes(), "init was not built with musl"
    subprocess.run([str(venv / "bin" / "python"), "-c", POISON, str(package), str(canary)], check=True)
    subprocess.run([str(venv / "bin" / "python"), "-I", "-c", "import pyoci.cli"], check=False)
    assert canary.exists(), "the canary sings"
    canary.unlink()
    bundle.args("true").write()
    for words in (["list"], ["--help"], ["features"], ["state", "nobody"], ["run", "--bundle", str(bundle.path), "p"]):
        run([str(program), *root, *words], **elsewhere)
        assert not canary.exists(), words

    # Python could be linked, its modules frozen, and where it cannot be, the stock one does the same
    assert "start: frozen\n" in said.out, said
    assert run([str(program), "version", "--check"], **elsewhere).ok
    (own,) = venv.glob("lib/python*/site-packages/pyoci/programs/interpreter")
    own.unlink()
    assert run([str(program), "--version"], **elsewhere).out == said.out.replace("start: frozen", "start: stock")
    bundle.shell("echo pid $$").write()
    ran = run([str(program), *root, "run", "--bundle", str(bundle.path), "c"], **elsewhere)
    assert (ran.status, ran.out, ran.err) == (0, "pid 1\n", ""), ran
    assert box.left() == []
    assert not canary.exists()

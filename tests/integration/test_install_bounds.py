"""The oldest and the newest version of each library that pyoci takes: it is built with them, and does what needs them.

pyproject.toml names the oldest ones, and these are what is installed here: a bound that nobody has tried says nothing.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import run
from tests.support.sources import TREE, copy

pytestmark = [pytest.mark.root, pytest.mark.slow]
OLDEST = "3.11"  # newer Pythons have no wheels of these libraries, and pip takes newer ones there
# What uses each library: the shim all of it; jsonschema the report on a config; protobuf the messages to CRIU
USES = ["tests/unit/validate/test_validate_documents.py", "tests/unit/checkpoint", "tests/unit/test_shim.py"]


def bounds() -> "dict[str, str]":
    """The oldest version of each library."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())
    named = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["checkpoint"]]
    named += [line for line in project["build-system"]["requires"] if line.startswith("setuptools")]
    found = [re.fullmatch(r"([a-z]+)>=([0-9.]+)", line) for line in named]
    assert all(found), f"each has a lower bound: {named}"
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_bounds_of_libraries(box: Box, tmp_path: Path, which: str) -> None:
    if which == "oldest" and not sys.version.startswith(f"{OLDEST}."):
        pytest.skip(f"the oldest versions are those of Python {OLDEST}")
    known = bounds()
    assert set(known) == {"cffi", "jsonschema", "protobuf", "setuptools"}
    wanted = [f"{name}=={version}" if which == "oldest" else name for name, version in known.items()]
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", *wanted, "wheel", "pytest", "hypothesis"], check=True)
    copy(tmp_path / "sources")
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", str(tmp_path / "sources")], check=True)
    listed = run([str(venv / "bin" / "pip"), "list", "--format=freeze"]).out
    print([line for line in listed.splitlines() if line.partition("==")[0] in known])

    program = [str(venv / "bin" / "pyoci"), "--root", str(box.root)]
    checked = run([*program, "version", "--check"])
    assert checked.ok and "not here" not in checked.out and "install" not in checked.out, checked
    bundle = box.bundle().shell("echo pid $$")
    bundle.write()
    ran = run([*program, "run", "--bundle", str(bundle.path), "c"])
    assert (ran.status, ran.out, ran.err) == (0, "pid 1\n", ""), ran
    bundle.config["process"]["args"] = 7
    bundle.write()
    told = run([*program, "validate", "--bundle", str(bundle.path)])
    assert told.status == 1 and "process.args" in told.out + told.err, told
    words = [str(venv / "bin" / "python"), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *USES]
    done = run(words, cwd=str(TREE))
    print(done.out.splitlines()[-1])
    assert done.ok, done.out[-3000:]

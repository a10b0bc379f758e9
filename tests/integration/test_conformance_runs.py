"""The conformance suite as a command: what it shows meanwhile, when it is interrupted, and after it was killed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.command import PYOCI
from tests.support.pty import Interactive
from tests.support.sources import TREE

pytestmark = pytest.mark.root

SUITE = [sys.executable, "-m", "conformance", "--runtime", PYOCI]
TESTS = ["--select", "config.process", "--jobs", "1", "--report", "json", "--output"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs have their directories."""
    leftovers.adopt_orphans()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(TREE)
    return tmp_path


def remains(place: Path) -> list[str]:
    """What is there of runs: directories, mounts, cgroups."""
    found = [path.name for path in place.glob("cf-*")] + leftovers.mounts_below(str(place))
    return found + [path for name in found for path in leftovers.cgroups_named(name)]


def test_an_interrupted_run_reports_what_it_has(place: Path) -> None:
    """On a terminal of 50 columns, so that what it shows fits into one line."""
    command = Interactive([*SUITE, *TESTS, str(place / "report")], columns=50)
    command.screen.expect(r"pyoci: [3-9]/\d+ tests, 0 failed, \d+ s to go")
    command.screen.type("\x03")
    assert command.wait() == 130
    text = command.screen.text + (command.screen.expect(r"interrupted after \d+ tests")[0])
    assert all(len(line) < 50 for line in text.split("\n") for line in line.split("\r\x1b[K") if "to go" in line)
    command.close()
    report = json.loads((place / "report").read_text())["runtimes"][0]
    assert report["interrupted"] is True and report["left"] == []
    results = [one["result"] for one in report["requirements"]]
    assert "pass" in results and "untested" in results and "fail" not in results and "error" not in results
    assert report["begun"].endswith(" UTC") and report["host"].endswith(", root")
    assert remains(place) == []


def test_the_next_run_cleans_up_after_a_killed_one(place: Path) -> None:
    command = Interactive([*SUITE, *TESTS, str(place / "report")])
    command.screen.expect(r"pyoci: 3/\d+ tests")
    (left,) = place.glob("cf-*")
    os.kill(command.process.pid, signal.SIGKILL)
    command.wait()
    command.screen.rest()  # until the last of its processes has ended: they go with it
    command.close()
    assert left.exists() and not (place / "report").exists()
    (place / "cf-of-somebody-else").mkdir()
    words = [*SUITE, "--test", "suite/test_process.py::test_umask_unset"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert f"removing {left}, left by a run that was killed" in done.stderr
    assert remains(place) == ["cf-of-somebody-else"]


def test_a_run_that_goes_on_is_left_alone(place: Path) -> None:
    from conformance.place import Place, sweep

    going_on = Place()
    sweep()
    assert going_on.path.exists()
    going_on.remove()
    assert remains(place) == []

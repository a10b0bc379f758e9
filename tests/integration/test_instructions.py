"""What commands cost in instructions: an installed pyoci against the bare isolated start of the same interpreter.

Counts do not depend on the machine's load, so they can hold what timings cannot: a careless import in a hot module
shows.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.callgrind import Counter
from bench.goals import GOALS
from tests.support.box import Box

pytestmark = [pytest.mark.root, pytest.mark.slow]
INSTALL = Path(__file__).parents[1] / "tools" / "installed.sh"

# Times the bare start (`python -I -S -c pass`): the goals of bench/goals.py
LIMITS = {goal.figure: goal.most for goal in GOALS if goal.benchmark == "instructions"}
# What was reached, and a tenth: to be lost it would have to be given away. Python starts in 21 to 25 million where
# distributions build it, in 28 to 33 without profile-guided optimization; our own part is a larger share of the former.
PLAIN_START = 26_000_000
QUICK = ("start", "state", "list", "ps", "pause", "resume", "kill", "delete")
REACHED_PLAIN = {**dict.fromkeys(QUICK, 0.46), "run": 0.84, "create": 0.80, "exec": 0.61, "update": 0.58}
REACHED = {**dict.fromkeys(QUICK, 0.55), "run": 0.98, "create": 0.94, "exec": 0.71, "update": 0.67}


def spec_bundle(box: Box, program: str, *args: str) -> Path:
    """A bundle with the config that `spec` writes, but no terminal, and a cgroup of the test's."""
    bundle = box.bundle()
    subprocess.run([program, "spec", "--bundle", str(bundle.path)], check=True)
    cgroup = bundle.linux["cgroupsPath"]
    bundle.config = json.loads((bundle.path / "config.json").read_text())
    bundle.linux["cgroupsPath"] = cgroup
    bundle.process["terminal"] = False
    bundle.args(*args).write()
    return bundle.path


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_instructions_of_each_hot_command(box: Box, tmp_path: Path) -> None:
    subprocess.run([INSTALL, sys.executable, str(tmp_path / "venv")], check=True)
    counter = Counter(tmp_path / "valgrind")
    bare = counter.bare(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    program = str(tmp_path / "venv" / "bin" / "pyoci")
    lasting, brief = spec_bundle(box, program, "sleep", "1000"), spec_bundle(box, program, "true")
    counts = counter.life(program, box.root, lasting, brief, "c")
    ratios = {command: count / bare for command, count in counts.items()}
    print(f"bare start {bare}", {command: f"{counts[command]} ({ratio:.3f})" for command, ratio in ratios.items()})
    limits = {**LIMITS, **(REACHED_PLAIN if bare > PLAIN_START else REACHED)}
    over = {command: round(ratios[command], 3) for command, most in limits.items() if ratios[command] > most}
    assert not over, f"times the bare start; more than {limits}"

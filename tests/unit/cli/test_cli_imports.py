"""Start-up is the price of Python: the modules each hot command loads are held to csrc/start/hot.txt, in an isolated
interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

import pyoci
from csrc.build import hot

HOME = Path(pyoci.__file__).parent.parent

# Runs one command against a runtime that answers with nothing, and prints what was loaded meanwhile.
PROGRAM = """
import sys
before = set(sys.modules)
sys.path.insert(0, {home!r})
import pyoci
class Runtime:
    def __init__(self, root, **settings): pass
    def __getattr__(self, name): return lambda *arguments: 0 if name in ("run", "exec") else ANSWER
ANSWER = {{"process": {{"cwd": "/"}}}}
fake = type(sys)("pyoci.runtime")
fake.Runtime = Runtime
sys.modules["pyoci.runtime"] = pyoci.runtime = fake
before.add("pyoci.runtime")
from pyoci.cli import main
status = main({words!r})
import posix
posix.write(2, " ".join(sorted(set(sys.modules) - before)).encode())
posix._exit(status)
"""


def loaded(words):
    program = PROGRAM.format(home=str(HOME), words=words)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ["state", "c1"],
        ["start", "c1"],
        ["delete", "--force", "c1"],
        ["create", "--bundle", "/", "--pid-file", "/p", "--console-socket", "/s", "c1"],
        ["run", "--bundle=/", "c1"],
        ["kill", "c1", "9"],
        ["kill", "--all", "c1", "SIGKILL"],
        ["exec", "-d", "c1", "ls"],
    ],
)
@pytest.mark.parametrize("settings", [[], ["--root", "/r", "--log", "/dev/null", "--log-format", "json"]])
def test_a_hot_command_loads_only_what_it_needs(settings, words):
    assert loaded([*settings, *words]) - hot.loaded_by(words[0]) - {"_json"} == set()


def test_the_words_of_the_help_are_not_part_of_it():
    """The measure is alive: help does load them."""
    assert {"pyoci.cli.texts", "pyoci.cli.help"} <= loaded(["create", "--help"])

"""Imports in pyoci's own program (csrc/start/import.c), told by modules that are put into a package beside pyoci's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bare import program

MAIN = """
import posix
def run(words):
    try:
        report = __import__("pyoci.trial", None, None, ["report"]).report()
    except BaseException as problem:
        report = f"{type(problem).__name__}: {problem}"
    from pyoci.json.document import dump
    posix.write(1, dump(report).encode())
    posix._exit(0)
"""


def report(place: Path, **files: str) -> object:
    """What `pyoci.trial.report()` returns. files: modules of the package; `within` is one of its package `room`."""
    words = program(place, MAIN)
    if not Path(words[0]).exists():
        pytest.skip("pyoci has no interpreter of its own here")
    for name, text in files.items():
        path = place / "pyoci" / {"room": "room/__init__.py", "within": "room/within.py"}.get(name, f"{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert not done.stderr
    return json.loads(done.stdout)


def test_a_module_knows_where_it_is_and_its_package_has_it(tmp_path: Path) -> None:
    trial = """
def report():
    import sys, pyoci.room.within as one
    import pyoci.room as room
    return [
        [m.__name__, m.__package__, m.__file__, getattr(m, "__path__", None), m.__spec__.name, m.__spec__.parent,
         m.__spec__.submodule_search_locations, m.__spec__._initializing, m.__dict__["__builtins__"] is not None]
        for m in (one, room)
    ] + [room.within is one, sys.modules["pyoci.room.within"] is one]
"""
    found = report(tmp_path, trial=trial, room="", within="")
    room = str(tmp_path / "pyoci" / "room")
    assert found == [
        [
            "pyoci.room.within",
            "pyoci.room",
            f"{room}/within.py",
            None,
            "pyoci.room.within",
            "pyoci.room",
            None,
            False,
            True,
        ],
        ["pyoci.room", "pyoci.room", f"{room}/__init__.py", [room], "pyoci.room", "pyoci.room", [room], False, True],
        True,
        True,
    ]


def test_a_module_that_fails_is_forgotten_and_runs_again(tmp_path: Path) -> None:
    trial = """
def report():
    import sys
    said = []
    for _ in range(2):
        try:
            import pyoci.bad
        except ZeroDivisionError as problem:
            said.append([str(problem), "pyoci.bad" in sys.modules, "pyoci.bad_helper" in sys.modules])
    return said
"""
    found = report(tmp_path, trial=trial, bad="import pyoci.bad_helper\n1 / 0\n", bad_helper="")
    assert found == [["division by zero", False, True]] * 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("import pyoci.nowhere", "ModuleNotFoundError: No module named 'pyoci.nowhere'"),
        ("import pyoci.nowhere.below", "ModuleNotFoundError: No module named 'pyoci.nowhere'"),
        ("from pyoci import nowhere", "ImportError: cannot import name 'nowhere' from 'pyoci'"),
        ("from pyoci.errors import nowhere", "ImportError: cannot import name 'nowhere' from 'pyoci.errors'"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("__import__('pyoci.' + 'x' * 300)", "ModuleNotFoundError: No module named 'pyoci.xxx"),
        ("__import__('pyoci.\\udc80')", "UnicodeEncodeError: "),
        ("__import__('pyoci.\\0')", ""),
    ],
)
def test_what_is_not_there_is_said_as_python_says_it(tmp_path: Path, statement: str, words: str) -> None:
    said = report(tmp_path, trial=f"def report():\n    {statement}\n    return 'found it'\n")
    assert str(said).startswith(words)
    assert said != "found it"


def test_a_module_waits_for_the_thread_that_runs_it(tmp_path: Path) -> None:
    """The first thread is held up within the module; the second one asks for it and must not see it half done."""
    slow = """
import pyoci.gate
pyoci.gate.inside.release()
pyoci.gate.go.acquire()
DONE = True
"""
    gate = """
import _thread
inside, go, asks, ended = (_thread.allocate_lock() for _ in range(4))
for lock in (inside, go, asks, ended):
    lock.acquire()
"""
    trial = """
def report():
    import _thread
    import pyoci.gate as gate
    seen = []
    def first():
        import pyoci.slow
        seen.append(["first", pyoci.slow.DONE])
    def second():
        gate.inside.acquire()
        gate.asks.release()
        from pyoci.slow import DONE
        seen.append(["second", DONE])
        gate.ended.release()
    _thread.start_new_thread(second, ())
    _thread.start_new_thread(first, ())
    gate.asks.acquire()
    gate.go.release()
    gate.ended.acquire()
    return [line for line in seen if line[0] == "second"]
"""
    assert report(tmp_path, trial=trial, slow=slow, gate=gate) == [["second", True]]


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    trial = "def report():\n    import pyoci.left, pyoci.right\n    return [pyoci.left.SEEN, pyoci.right.SEEN]\n"
    left = "import sys, pyoci.right\nSEEN = hasattr(sys.modules['pyoci.right'], 'SEEN')\n"
    right = "import sys, pyoci.left\nSEEN = hasattr(sys.modules['pyoci.left'], 'SEEN')\n"
    assert report(tmp_path, trial=trial, left=left, right=right) == [True, False]


def test_python_s_own_packages_are_imported_as_ever(tmp_path: Path) -> None:
    trial = """
def report():
    from json import decoder, dumps
    import email.message
    from xml import nowhere
"""
    said = str(report(tmp_path, trial=trial))
    assert said.startswith("ImportError: cannot import name 'nowhere' from 'xml'"), (sys.version, said)

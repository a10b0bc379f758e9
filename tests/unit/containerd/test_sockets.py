"""The name of a shim's socket."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyoci.containerd.sockets import is_served, listen, name_for, sweep

ROOT = Path(__file__).resolve().parents[3]


def test_a_name_for_each_group_and_for_no_other() -> None:
    names = {name_for(address, space, group) for address in "ab" for space in "nm" for group in ("g", "h", "")}
    assert len(names) == 12
    assert name_for("a", "n", "g") in names
    assert all(len(name) == 48 and name.isalnum() for name in names)


def test_a_name_takes_no_module_that_a_python_may_lack() -> None:
    """Nor a word on standard error: containerd 2 takes it for the answer."""
    program = "import sys\nfor name in ('_sha2', '_sha256', 'hashlib', '_hashlib'): sys.modules[name] = None\n"
    program += "from pyoci.containerd.sockets import name_for\nprint(name_for('a', 'n', 'g'))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (name_for("a", "n", "g"), "")


def test_sockets_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no others: another plugin's may be one that is being made."""
    monkeypatch.chdir(tmp_path)  # a socket's whole path would be too long
    directory = "s"
    alive, dead, foreign = name_for("a", "n", "alive"), name_for("a", "n", "dead"), "f" * 64
    fds = [listen(directory, name) for name in (alive, dead, foreign)]
    for fd in fds[1:]:
        os.close(fd)
    sweep(directory)
    assert sorted(os.listdir(directory)) == sorted([alive, foreign])
    assert is_served(f"{directory}/{alive}")
    os.close(fds[0])

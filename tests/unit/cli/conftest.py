"""A command line run in this process against a runtime that only notes what it was asked."""

import sys
import types

import pytest
from cli_samples import PROCESS, STATE

import pyoci
from pyoci.cli import main
from pyoci.errors import Error


class FakePlan:
    """A compiled plan, as far as it is printed."""

    def lines(self):
        return iter(["1. mount proc", "2. pivot"])

    def document(self):
        return {"steps": []}


class FakeRuntime:
    """Notes each call in `calls`; `answers` maps a method's name to its result or to an exception to raise."""

    calls = []
    answers = {}
    made = []
    warning = ""

    def __init__(self, root, *, cgroup_manager, rootless, warn):
        self.made.append((root, cgroup_manager, rootless))
        self.warn = warn

    def __getattr__(self, name):
        def method(*arguments):
            self.calls.append((name.removesuffix("_detached"), *arguments))
            if self.warning:
                self.warn(self.warning)
            answer = self.answers.get(name.removesuffix("_detached"))
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method


@pytest.fixture
def runtime(monkeypatch):
    """The fake, fresh, in the place of pyoci.runtime.Runtime."""
    FakeRuntime.calls, FakeRuntime.made, FakeRuntime.warning = [], [], ""
    FakeRuntime.answers = {
        "state": dict(STATE),
        "list": ([], []),
        "ps": [],
        "run": 0,
        "exec": 0,
        "restore": 0,
        "config": {"process": PROCESS},
        "plan": FakePlan(),
    }
    module = types.ModuleType("pyoci.runtime")
    module.Runtime = FakeRuntime
    monkeypatch.setitem(sys.modules, "pyoci.runtime", module)
    monkeypatch.setattr(pyoci, "runtime", module, raising=False)
    return FakeRuntime


@pytest.fixture
def cli(runtime, environment, capfd):
    """Runs a command line in an environment without the variables that count; gives (status, stdout, stderr)."""

    def run(*words):
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def refusal():
    """An error with every part set."""
    return Error("no such thing", location="mounts[3] (/proc)", step="mount proc", errno=1, hint="do this")


@pytest.fixture
def environment(monkeypatch):
    """Sets variables as the runtime reads them: posix.environ, which os.environ does not reach."""
    import posix

    def change(**variables):
        for name, value in variables.items():
            monkeypatch.setitem(posix.environ, name.encode(), value.encode())

    for name in (b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES", b"NOTIFY_SOCKET", b"XDG_RUNTIME_DIR", b"USER"):
        monkeypatch.delitem(posix.environ, name, raising=False)
    return change

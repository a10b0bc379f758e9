"""Talking to systemd: what becomes of a command when the other side is not well."""

import errno
import os
import posix
import socket
from types import SimpleNamespace

import pytest
from fake_bus import CLOSE, JOB, NAME, SILENCE, FakeBus, job_removed, refusal

from pyoci.cgroups.systemd import bus
from pyoci.container.recovery import undo_of
from pyoci.errors import Error
from tests.support import made_cgroups


@pytest.fixture
def systemd(tmp_path):
    """Makes a systemd behind a socket: systemd(StopUnit=[CLOSE]); several of a test are told apart by a name."""
    made = []

    def make(name="bus", **answers):
        made.append(FakeBus(f"{tmp_path}/{name}", **answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def impatient(monkeypatch):
    for name in ("CALL_SECONDS", "JOB_SECONDS", "GREET_SECONDS"):
        monkeypatch.setattr(bus, name, 0.05)


def private(fake):
    """The same systemd behind a socket of the private one's name."""
    os.makedirs(f"{fake.path}-systemd/systemd")
    os.symlink(fake.path, f"{fake.path}-systemd/systemd/private")
    return f"{fake.path}-systemd/systemd/private"


def test_the_private_socket_is_no_bus(systemd):
    """Nobody is to be greeted there, and a name is no fault (jeepney makes no call without one)."""
    fake = systemd()
    connection = bus.Bus(("/nowhere/bus", private(fake)))
    assert connection.property("Version") == "252"
    assert [method for method, _ in fake.calls] == ["Get"]
    connection.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"Subscribe": [refusal("org.freedesktop.DBus.Error.ServiceUnknown")]}, id="systemd-is-not-there"),
        pytest.param({"Hello": [CLOSE]}, id="it-ends"),
        pytest.param({"Hello": [SILENCE]}, id="it-is-stopped"),
    ],
)
def test_a_bus_that_does_not_lead_to_systemd_is_passed_over(systemd, fault):
    ill, well = systemd("ill", **fault), systemd("well")
    connection = bus.Bus((ill.path, private(well)))
    assert connection.property("Version") == "252"
    connection.close()


def test_a_bus_that_believes_nobody_is_passed_over(systemd):
    ill, well = systemd("ill"), systemd("well")
    ill.unauthenticated = True
    bus.Bus((ill.path, private(well))).close()
    with pytest.raises(Error, match=r"EACCES.*is the bus running\?"):
        bus.Bus((ill.path,))


@pytest.mark.usefixtures("impatient")
def test_nobody_answers(systemd, tmp_path):
    with pytest.raises(Error) as caught:
        bus.Bus((f"{tmp_path}/nothing", f"{tmp_path}/systemd/private"))
    assert (caught.value.step, caught.value.errno) == (f"connect to systemd at {tmp_path}/nothing", errno.ENOENT)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(f"{tmp_path}/deaf")
    deaf.listen()
    with pytest.raises(Error, match=r"connect to systemd at .*/deaf: no answer within"):
        bus.Bus((f"{tmp_path}/deaf",))
    deaf.close()


@pytest.mark.usefixtures("impatient")
def test_a_reply_that_never_comes(systemd):
    connection = bus.Bus((systemd(StopUnit=[SILENCE]).path,))
    with pytest.raises(Error, match=r"systemd: systemd did not answer StopUnit within 0 seconds"):
        connection.manager("StopUnit", "ss", "c.scope", "replace")
    connection.close()


@pytest.mark.usefixtures("impatient")
def test_a_job_that_never_ends(systemd):
    connection = bus.Bus((systemd(StopUnit=[("o", (JOB,))]).path,))
    with pytest.raises(Error, match=r"the job for unit c.scope did not finish"):
        connection.wait(connection.manager("StopUnit", "ss", "c.scope", "replace")[0], "c.scope", active=False)
    connection.close()


def test_what_systemd_may_have_done_is_not_asked_twice(systemd):
    fake = systemd(StartTransientUnit=[CLOSE])
    connection = bus.Bus((fake.path,))
    with pytest.raises(Error, match="systemd closed the connection"):
        connection.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", "c.scope", "replace", [], [])
    assert len(fake.named("StartTransientUnit")) == 1
    connection.close()


def test_what_does_no_harm_is_asked_again(systemd):
    fake = systemd(SetUnitProperties=[CLOSE, ("", ())])
    connection = bus.Bus((fake.path,))
    connection.manager("SetUnitProperties", "sba(sv)", "c.scope", True, [])
    assert len(fake.named("SetUnitProperties")) == 2
    connection.close()


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EIO])
@pytest.mark.parametrize("call", ["sendall", "recv"])
def test_a_dead_peer_is_an_error_of_ours(systemd, number, call):
    """And no OSError, which would be «internal error, please report»."""

    class Dead:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def fails(self, *_):
            raise OSError(number, os.strerror(number))

    setattr(Dead, call, Dead.fails)
    connection = bus.Bus((systemd().path,))
    connection._socket = Dead(connection._socket)
    with pytest.raises(Error) as caught:
        connection.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", "c.scope", "replace", [], [])
    assert caught.value.kind == "host"
    connection.close()


@pytest.mark.parametrize(
    ("states", "active", "result"),
    [
        ([("v", (("s", "active"),))], True, "done"),
        ([("v", (("s", "inactive"),))], True, "failed"),
        ([("v", (("s", "failed"),))], False, "done"),
        ([refusal(f"{NAME}.NoSuchUnit")], False, "done"),
    ],
)
def test_a_bus_started_anew_while_a_command_waits(systemd, states, active, result):
    """Nobody told us how the job ended: the unit says it."""
    no_job = [("v", (("(uo)", (0, "/")),))]
    fake = systemd(Subscribe=[("", ())], StopUnit=[("o", (JOB,))], Get_Job=no_job, Get_ActiveState=states)
    connection = bus.Bus((fake.path,))
    (job,) = connection.manager("StopUnit", "ss", "c.scope", "replace")
    connection._socket.shutdown(socket.SHUT_RDWR)
    assert connection.wait(job, "c.scope", active) == result
    connection.close()


def test_a_job_that_goes_on_after_the_bus_was_started_anew(systemd):
    queued = [("v", (("(uo)", (7, JOB)),), job_removed("canceled"))]
    fake = systemd(StopUnit=[("o", (JOB,))], Get_Job=queued)
    connection = bus.Bus((fake.path,))
    (job,) = connection.manager("StopUnit", "ss", "c.scope", "replace")
    connection._socket.shutdown(socket.SHUT_RDWR)
    assert connection.wait(job, "c.scope", active=False) == "canceled"
    connection.close()


def test_where_a_users_manager_listens():
    environment = {
        b"DBUS_SESSION_BUS_ADDRESS": b"tcp:host=x;unix:path=/a/bus,guid=1",
        b"XDG_RUNTIME_DIR": b"/run/user/1",
    }
    assert bus.user_sockets(environment) == ("/a/bus", "/run/user/1/bus", "/run/user/1/systemd/private")
    assert bus.user_sockets({}) == ()


# The driver


@pytest.fixture
def scope(host, systemd, monkeypatch, tmp_path):
    """A scope that exists, by a systemd that has these answers: scope(**answers) gives manager, machine, systemd."""

    def make(**answers):
        machine = host(2)
        machine.run = f"{tmp_path}/run"
        os.makedirs(f"{machine.run}/systemd/transient")
        machine.write(None, f"{machine.root}/cgroup.subtree_control", "+memory +pids +cpu")
        for path in ("s.slice", "s.slice/c.scope"):
            machine.mkdir(f"{machine.root}/{path}")
            machine.write(None, f"{machine.root}/{path}/cgroup.subtree_control", "+memory +pids +cpu")
        machine.written.clear()
        fake = systemd(**answers)
        monkeypatch.setattr(bus, "SYSTEM_SOCKETS", (fake.path,))
        path = f"{machine.root}/s.slice/c.scope"
        files = {"driver": "systemd", "version": 2, "cgroup_paths": {"": path}, "made": []}
        record = {**files, "unit": "c.scope", "slice": "s.slice", "user": False}
        entry = SimpleNamespace(record={"cgroup": record, "hooks": []})
        return made_cgroups.load({**record, "undo": undo_of(entry)}, machine), machine, fake

    return make


def limits(machine):
    return [
        machine.read(machine.open_dir(f"{machine.root}/s.slice/c.scope"), name) for name in ("memory.max", "pids.max")
    ]


def test_an_update_tells_systemd_and_has_the_last_word(scope):
    manager, machine, fake = scope()
    manager.update({"pids": {"limit": 7}, "cpu": {"quota": 5000}})
    assert [value for _, value in machine.values("pids.max", "cpu.max")] == ["7", "5000 100000"] * 2
    ((unit, at_runtime, properties),) = fake.named("SetUnitProperties")
    assert (unit, at_runtime, dict(properties)["TasksMax"]) == ("c.scope", True, ("t", 7))
    # systemd answers before it writes: another answer shows that it has written
    assert [name for name, _ in fake.calls][-2:] == ["SetUnitProperties", "Get"]


def test_what_systemd_refuses_leaves_the_old_limits(scope):
    manager, machine, fake = scope(SetUnitProperties=[refusal("org.freedesktop.DBus.Error.AccessDenied", "not you")])
    with pytest.raises(Error, match=r"change unit c\.scope: not you"):
        manager.update({"pids": {"limit": 7}, "memory": {"limit": 4096000}})
    assert limits(machine) == ["max", "max"]
    assert fake.named("SetUnitProperties")


def test_what_the_kernel_refuses_systemd_is_not_told(scope):
    manager, machine, fake = scope()
    machine.refusals = {("pids.max", "7"): errno.EPERM}
    with pytest.raises(Error, match=r"pids\.limit: write '7' to pids\.max"):
        manager.update({"pids": {"limit": 7}, "memory": {"limit": 4096000}})
    assert limits(machine) == ["max", "max"]
    assert fake.named("SetUnitProperties") == []


def test_a_property_that_is_no_file_is_told_to_systemd(scope):
    """Device rules have no setting of their own on v2."""
    manager, _, fake = scope()
    manager.inner.update({}, lambda: manager._bus().manager("SetUnitProperties", "sba(sv)", "c.scope", True, []))
    assert len(fake.named("SetUnitProperties")) == 1


def test_no_systemd_is_needed_where_nothing_is_left(scope, monkeypatch):
    manager, machine, fake = scope()
    machine.rmdir(f"{machine.root}/s.slice/c.scope")
    manager.destroy()
    assert fake.calls == []
    # but a unit that failed is remembered without a cgroup, and is to be forgotten
    with open(f"{machine.run}/systemd/transient/c.scope", "w"):
        manager.destroy()
    assert fake.named("StopUnit", "ResetFailedUnit") == [("c.scope", "replace"), ("c.scope",)]
    # and where systemd's files are out of sight, it has to be asked
    machine.run = "/nowhere"
    manager.destroy()
    assert len(fake.named("StopUnit")) == 2


def test_without_systemd_the_cgroup_goes_and_the_unit_is_named(scope, monkeypatch, tmp_path):
    manager, machine, _ = scope()
    monkeypatch.setattr(bus, "SYSTEM_SOCKETS", (f"{tmp_path}/nothing",))
    manager.destroy()
    assert not os.path.exists(f"{machine.root}/s.slice/c.scope")
    (warning,) = manager.warnings
    assert warning.startswith("unit c.scope is left to systemd, which was not told to stop it: connect to systemd at ")


def test_a_users_units_are_looked_for_where_its_manager_has_them(scope, monkeypatch, tmp_path):
    manager, machine, fake = scope()
    monkeypatch.setitem(posix.environ, b"XDG_RUNTIME_DIR", os.fsencode(f"{tmp_path}/user"))
    monkeypatch.setitem(posix.environ, b"DBUS_SESSION_BUS_ADDRESS", os.fsencode(f"unix:path={fake.path}"))
    os.makedirs(f"{tmp_path}/user/systemd/transient")
    manager.manager.user = True
    machine.rmdir(f"{machine.root}/s.slice/c.scope")
    manager.destroy()
    assert fake.calls == []
    with open(f"{tmp_path}/user/systemd/transient/c.scope", "w"):
        manager.destroy()
    assert len(fake.named("StopUnit")) == 1


def starting(scope, **answers):
    """The start of a scope in a slice that is not there: what systemd is asked to start."""
    manager, machine, fake = scope(**answers)
    manager.inner.path = f"{machine.root}/a.slice/a-b.slice/c.scope"
    with open(f"{machine.proc}/devices", "w"):
        pass
    manager.manager.compile({}, "c", {})
    manager.birth(4711)
    return fake.named("StartTransientUnit"), fake


NEW = {
    "LoadUnit": [("o", ("/u",))],
    "Get_FragmentPath": [("v", (("s", ""),))],
    "Get_DropInPaths": [("v", (("as", []),))],
    "Get_ActiveState": [("v", (("s", "inactive"),))],
}


def test_slices_that_nobody_has_go_with_the_last_unit_in_them(scope):
    ((unit, _, properties, others),), _ = starting(scope, **NEW)
    assert (unit, dict(properties)["PIDs"]) == ("c.scope", ("au", [4711]))
    assert others == [(name, [("StopWhenUnneeded", ("b", True))]) for name in ("a.slice", "a-b.slice")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("FragmentPath", ("s", "/etc/a.slice")), ("DropInPaths", ("as", ["/x"])), ("ActiveState", ("s", "active"))],
)
def test_slices_of_others_are_left_as_they_are(scope, name, value):
    ((*_, others),), _ = starting(scope, **{**NEW, f"Get_{name}": [("v", (value,))]})
    assert others == []


def test_a_slice_that_another_command_was_quicker_to_make(scope):
    taken = [refusal(f"{NAME}.UnitExists"), ("o", (JOB,), job_removed())]
    (first, second), fake = starting(scope, **NEW, StartTransientUnit=taken)
    assert (len(first[3]), second[3]) == (2, [])
    assert fake.named("ResetFailedUnit") == []


def test_a_unit_that_failed_is_forgotten_and_made_again(scope):
    taken = [refusal(f"{NAME}.UnitExists"), ("o", (JOB,), job_removed())]
    asked, fake = starting(scope, LoadUnit=[refusal(f"{NAME}.NoSuchUnit")], StartTransientUnit=taken)
    assert (len(asked), fake.named("ResetFailedUnit")) == (2, [("c.scope",)])


def test_somebody_elses_unit_is_left_alone(scope):
    taken, running = [refusal(f"{NAME}.UnitExists")], [refusal(f"{NAME}.NoSuchUnit")]
    with pytest.raises(Error, match=r"unit c\.scope already exists") as caught:
        starting(scope, LoadUnit=running, StartTransientUnit=taken, ResetFailedUnit=running)
    assert caught.value.kind == "exists"

"""Talking to systemd: what becomes of a command when the other side is not well."""

import errno
import os
import posix
import socket
from types import SimpleNamespace

import pytest
from fake_bus import CLOSE, JOB, NAME, SILENCE, FakeBus, job_removed, refusal

from pyoci.cgroups import load
from pyoci.cgroups.systemd import bus, messages
from pyoci.container.recovery import undo_of
from pyoci.errors import Error
from pyoci.plan import ops
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
    for name in ("CALL_SECONDS", "JOB_SECONDS"):
        monkeypatch.setattr(bus, name, 0.05)
    monkeypatch.setattr(bus, "GREET_SECONDS", 2.0)  # whoever is well has to manage in it on a busy machine


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
    connection = bus.Bus((ill.path, well.path))
    assert connection.property("Version") == "252"
    assert ill.connections == 1
    connection.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["believes nobody", "is not there", "is deaf"])
def test_a_bus_is_asked_where_the_private_socket_cannot_be_had(systemd, fault, tmp_path):
    ill, well = systemd("ill"), systemd("well")
    ill.unauthenticated = fault == "believes nobody"
    path = private(ill)
    if fault == "is not there":
        os.unlink(path)
    if fault == "is deaf":
        os.unlink(path)
        deaf = socket.socket(socket.AF_UNIX)
        deaf.bind(path)
        deaf.listen()
    connection = bus.Bus((well.path, path))
    assert connection.property("Version") == "252"
    assert [method for method, _ in well.calls] == ["Hello", "AddMatch", "Subscribe", "Get"]
    connection.close()


def test_a_bus_that_believes_nobody_is_passed_over(systemd):
    ill, well = systemd("ill"), systemd("well")
    ill.unauthenticated = True
    bus.Bus((ill.path, well.path)).close()
    assert ill.connections == 1
    with pytest.raises(Error, match=r"EPERM.*is the bus running\?"):
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


VALUES = [
    ("s", "é"), ("o", "/a/b"), ("g", "a(sv)"), ("b", True), ("y", 255), ("n", -5), ("q", 65535), ("i", -7),
    ("u", 2**32 - 1),
    ("x", -(2**63)), ("t", 2**64 - 1), ("d", 0.5), ("ay", b"\0\xff"), ("as", []), ("as", ["a", ""]),
    ("a(ss)", [("char-pts", "rwm"), ("/dev/char/10:229", "r")]), ("(uo)", (7, "/job")), ("aau", [[1, 2], []]),
    ("v", ("t", 5)), ("a(sv)", [("A", ("as", ["x"])), ("B", ("(ub)", (1, False)))]),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "value"), VALUES)
def test_values_arrive_as_they_are(systemd, signature, value):
    """There by libsystemd, read by another library, and back."""
    fake = systemd(Get_Version=[("v", ((signature, value),))])
    connection = bus.Bus((fake.path,))
    connection.manager("Set", f"sv{signature}", "name", (signature, value), value)
    assert fake.named("Set") == [("name", (signature, value), value)]
    assert connection.property("Version") == (list(value) if signature == "ay" else value)
    connection.close()


@pytest.mark.parametrize(
    ("signature", "value"), [("s", "a\0b"), ("o", "a/"), ("g", "(("), ("v", ("", 1)), ("v", ("(s", 1))]
)
def test_what_d_bus_has_no_words_for_is_refused(systemd, signature, value):
    """Of a string with a NUL C would see the first half."""
    fake = systemd()
    connection = bus.Bus((fake.path,))
    with pytest.raises(Error, match=r"call systemd's Set: invalid argument \(EINVAL\)"):
        connection.manager("Set", f"s{signature}", "name", value)
    assert fake.named("Set") == []
    connection.close()


@pytest.mark.parametrize(("signature", "value"), [("t", 2**64), ("t", -1), ("u", 2**32), ("y", 256), ("s", "\ud800")])
def test_what_c_cannot_hold_is_refused(systemd, signature, value):
    fake = systemd()
    connection = bus.Bus((fake.path,))
    with pytest.raises(Error, match=r"call systemd's Set: .*\(E(RANGE|INVAL)\)"):
        connection.manager("Set", f"sv{signature}", "name", (signature, value), value)
    assert fake.named("Set") == []
    connection.close()


def test_the_private_socket_comes_first(systemd):
    """A bus would be another process in between."""
    fake, other = systemd(), systemd("other")
    bus.Bus((fake.path, private(other))).close()
    assert (fake.connections, other.connections) == (0, 1)


def test_a_machine_without_the_library(monkeypatch):
    monkeypatch.setattr(messages, "LIBRARY", "libsystemd-of-nobody.so.0")
    monkeypatch.setattr(messages, "_opened", [])
    with pytest.raises(Error, match=r"libsystemd-of-nobody.so.0 is not installed \(install libsystemd") as caught:
        bus.Bus(("/nowhere/bus",))
    assert caught.value.kind == "missing"


def test_odd_paths_reach_their_socket(systemd):
    """An address has a syntax of its own."""
    for name in ("a;b,c=d%41", "ünï code"):
        bus.Bus((systemd(name).path,)).close()


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EIO])
@pytest.mark.parametrize("function", ["sd_bus_send", "sd_bus_process", "sd_bus_wait"])
def test_a_dead_peer_is_an_error_of_ours(systemd, number, function, monkeypatch):
    """And no OSError, which would be «internal error, please report»."""

    class Dead:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return (lambda *_: -number) if name == function else getattr(self.inner, name)

    connection = bus.Bus((systemd(StartTransientUnit=[SILENCE]).path,))
    monkeypatch.setattr(connection._library, "call", Dead(connection._library.call))
    with pytest.raises(Error) as caught:
        connection.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", "c.scope", "replace", [], [])
    assert caught.value.kind == "host"
    assert isinstance(caught.value, bus.Lost) == (number != errno.EIO)
    connection.close()


def test_a_signal_while_waiting_is_no_end(systemd, monkeypatch):
    """libsystemd says EINTR then; Python's own calls would go on by themselves."""
    connection = bus.Bus((systemd().path,))
    real, calls = connection._library.call, []

    class Interrupted:
        def __getattr__(self, name):
            return getattr(real, name)

        def sd_bus_process(self, *words):
            return real.sd_bus_process(*words) if calls else 0

        def sd_bus_wait(self, *words):
            calls.append(words)
            return -errno.EINTR if len(calls) == 1 else real.sd_bus_wait(*words)

    monkeypatch.setattr(connection._library, "call", Interrupted())
    assert connection.property("Version") == "252"
    assert calls
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
    fake.hang_up()
    assert connection.wait(job, "c.scope", active) == result
    connection.close()


def test_a_job_that_goes_on_after_the_bus_was_started_anew(systemd):
    queued = [("v", (("(uo)", (7, JOB)),), job_removed("canceled"))]
    fake = systemd(StopUnit=[("o", (JOB,))], Get_Job=queued)
    connection = bus.Bus((fake.path,))
    (job,) = connection.manager("StopUnit", "ss", "c.scope", "replace")
    fake.hang_up()
    assert connection.wait(job, "c.scope", active=False) == "canceled"
    connection.close()


def test_where_a_users_manager_listens():
    environment = {
        b"DBUS_SESSION_BUS_ADDRESS": b"tcp:host=x;unix:path=/a%20%c3%a9/bus,guid=1",
        b"XDG_RUNTIME_DIR": b"/run/user/1",
    }
    assert bus.user_sockets(environment) == ("/a é/bus", "/run/user/1/bus", "/run/user/1/systemd/private")
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
    manager, machine, _ = scope()
    with open(f"{machine.proc}/devices", "w") as file:
        file.write("Character devices:\n136 pts\n\nBlock devices:\n")
    change = manager.change({"devices": [{"allow": True, "type": "c", "major": 136, "minor": 1, "access": "r"}]}, {})
    assert [operation for operation, _, _ in change.steps()] == [ops.CHANGE_UNIT, ops.DEVICE_PROGRAM]


def test_device_rules_of_v1_are_whole_after_systemd_has_written_its_own(host, systemd, monkeypatch):
    """It denies all devices or allows them all: what was to change before is not what is to change then."""
    machine, fake = host(1), systemd()
    monkeypatch.setattr(bus, "SYSTEM_SOCKETS", (fake.path,))
    path = f"{machine.root}/devices/s.slice/c.scope"
    os.makedirs(path)
    with open(f"{path}/devices.list", "w") as file:
        file.write("c 1:3 rwm\nc 7:1 rw\n")
    record = {"driver": "systemd", "version": 1, "unit": "c.scope", "slice": "s.slice", "user": False}
    manager = load({**record, "cgroup_paths": {"devices": path}}, machine)
    monkeypatch.setattr(type(manager), "frozen", lambda self: True)
    any_major = {"allow": True, "type": "c", "minor": 9, "access": "r"}  # systemd has no name for it, and allows all
    change = manager.change({"devices": [{"allow": False, "access": "rwm"}, any_major]}, {})
    steps = [step for step in change.steps() if step[0] in (ops.CHANGE_UNIT, ops.DEVICE_RULES)]
    told = [step[0] for step in steps].index(ops.CHANGE_UNIT)
    writes = [text for step in steps[told + 1 :] for text in step[2][1]]
    assert told > 0 and writes[:2] == ["devices.deny", "a"] and {"c 1:3 rwm", "c *:9 r"} <= set(writes)
    back = [step[2][1] for step in reversed(change.undo) if step[0] == ops.DEVICE_RULES]
    assert back[0] == ("devices.deny", "a") and {text for _, text in back[1:]} == {"c 1:3 rwm", "c 7:1 rw"}


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

"""One plan for two actors: every wish of a config is a step, at its place, with who does it; and what takes it back."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plan_samples import FakeHost, compiled, small

from pyoci import cgroups
from pyoci.cgroups import tree
from pyoci.cgroups.systemd import manager as systemd
from pyoci.checkpoint.request import CriuOptions
from pyoci.checkpoint.restore import compile_restore
from pyoci.container.create import complete
from pyoci.container.delete import _UNDOES
from pyoci.container.exec import _compile_cgroups
from pyoci.container.perform import as_record, perform
from pyoci.container.recovery import undo_of
from pyoci.container.update import plan_update, update
from pyoci.errors import Error
from pyoci.options import CreateOptions, ExecOptions
from pyoci.plan import ops
from pyoci.plan.model import Plan
from pyoci.plan.request import Request
from pyoci.plan.show import undoing, whole
from pyoci.plan.words import OPERATIONS, RUNTIME_OPERATIONS
from tests.support import made_cgroups
from tests.unit.cgroups.fake_cgroups import FakeHost as CgroupHost

INSIDE = ("createContainer", "startContainer")
KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
RESOURCES: "dict[str, Any]" = {
    "memory": {"limit": 64 << 20},
    "pids": {"limit": 20},
    "cpu": {"cpus": "0-1"},
    "devices": [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"},
    ],
}


class Machine(FakeHost):
    tree = ""

    def network_devices(self, path: str) -> "list[str]":
        return ["lo", "eth0"]

    def resctrl(self) -> str:
        return self.tree


def rich(path: str = "/p/c") -> "dict[str, Any]":
    """A config with something of everything that the runtime does."""
    config = small(
        process={"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}], "oomScoreAdj": 5},
        linux={
            "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "pid"}],
            "cgroupsPath": path,
            "resources": RESOURCES,
            "netDevices": {"eth0": {"name": "in0"}},
            "intelRdt": {"schemata": ["L3:0=f"]},
        },
    )
    config["hooks"] = {kind: [{"path": f"/{kind}"}] for kind in KINDS}
    return config


class Bus:
    """As much of systemd as a compiler asks."""

    def property(self, name: str) -> str:
        return {"Version": "252", "ControlGroup": "/user.slice"}[name]

    def close(self) -> None:
        pass


@pytest.fixture(params=["v1", "v2", "hybrid", "systemd on v1", "systemd on v2"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CgroupHost:
    """A machine of each kind; driver: who makes cgroups there."""
    machine = CgroupHost(str(tmp_path), {"v1": 1, "v2": 2, "hybrid": 12}[request.param.split(" ")[-1]])
    machine.run = str(tmp_path / "run")
    Path(machine.run, "systemd/system").mkdir(parents=True)
    (Path(machine.proc) / "devices").write_text("Character devices:\n136 pts\n\nBlock devices:\n")
    monkeypatch.setattr(systemd.Manager, "_bus", lambda self: Bus())
    machine.driver = "systemd" if request.param.startswith("systemd") else "cgroupfs"
    return machine


@pytest.fixture
def plan(machine: CgroupHost, tmp_path: Path) -> Plan:
    """The plan of the rich config."""
    config = rich("a.slice:pre:c" if machine.driver == "systemd" else "/p/c")
    before = machine.directories()
    manager = cgroups.compile_cgroups(config, "c", driver=machine.driver, host=machine)
    host = Machine()
    host.tree = str(tmp_path / "resctrl")
    Path(host.tree).mkdir()
    made = compiled(config, host)
    options = CreateOptions("/bundle")
    options.pid_file, options.pidfd_socket = "/pid", "/socket"
    complete(made, manager, Request(config, host, options.bundle, "c"), options)
    assert machine.directories() == before and machine.written == []  # it changes nothing
    return made


def names(plan: Plan) -> "list[tuple[str, str, str]]":
    """Of each step who does it, what, and the place that asked."""
    known: Any = {**dict(enumerate(OPERATIONS)), **RUNTIME_OPERATIONS}
    return [(who, known[step.operation][0].lower(), step.where) for who, step in whole(plan)]


def test_every_wish_is_a_step(plan: Plan, request: pytest.FixtureRequest) -> None:
    found = names(plan)
    asked = {where for who, _, where in found if who == "runtime"}
    resources = {f"linux.resources.{name}" for name in ("memory.limit", "pids.limit", "cpu.cpus")}
    hooks = {f"hooks.{kind}[0] (/{kind})" for kind in KINDS if kind not in (*INSIDE, "poststop")}
    rest = {"linux.netDevices[eth0]", "linux.intelRdt", "process.oomScoreAdj", "process.rlimits[0] (RLIMIT_NOFILE)"}
    assert resources | hooks | rest | {"linux.cgroupsPath", "--pid-file", "--pidfd-socket"} <= asked
    assert {name for _, name, _ in found} & {"device_rules", "device_program"}
    assert {("init", "hook", f"hooks.{kind}[0] (/{kind})") for kind in INSIDE} <= set(found)
    assert [step.where for step in undoing(plan)].count("hooks.poststop[0] (/poststop)") == 1


ORDER = [
    [("runtime", "note"), ("runtime", "make_cgroup"), ("both", "join_cgroups"), ("init", "open_root")],
    [("runtime", "note"), ("runtime", "start_unit"), ("both", "join_cgroups")],
    [("runtime", "start_init"), ("both", "join_cgroups"), ("runtime", "resctrl"), ("runtime", "record")],
    [("runtime", "limit"), ("runtime", "oom_score_adj"), ("runtime", "net_device")],
    [("both", "join_cgroups"), ("runtime", "device_rules"), ("init", "open_root")],
    [("both", "join_cgroups"), ("runtime", "device_program"), ("init", "open_root")],
    [("runtime", "net_device"), ("runtime", "runtime_hook"), ("init", "hook"), ("both", "await_start")],
    [
        ("both", "await_start"),
        ("runtime", "rlimit"),
        ("runtime", "ready"),
        ("runtime", "pid_file"),
        ("init", "execute"),
    ],
]


def test_the_order_is_that_of_doing(plan: Plan) -> None:
    found = [(who, name) for who, name, _ in names(plan)]
    for order in ORDER:
        places = [found.index(each) for each in order if each in found]
        assert len(places) > 1 and places == sorted(places)
    last = [number for number, each in enumerate(found) if each == ("runtime", "runtime_hook")][-1]
    assert last > found.index(("init", "execute"))  # poststart


def test_what_is_made_is_taken_back(plan: Plan) -> None:
    """By name, in state.json: each deed that lasts has its counterpart, which `delete` finds somebody for."""
    record = json.loads(json.dumps(as_record(plan.undo)))
    assert {name for name, _, _ in record} <= set(_UNDOES)
    made = [
        step.fields[0] for _, step in whole(plan) if RUNTIME_OPERATIONS.get(step.operation, ("",))[0] == "MAKE_CGROUP"
    ]
    removed = [fields[0] for name, _, fields in record if name == "remove_cgroup"]
    assert set(made) <= set(removed)
    steps = {step.operation for _, step in whole(plan)}
    taken = {name for name, _, _ in record}
    assert {"leave_resctrl", "return_devices", "runtime_hook", "remove_cgroup"} <= taken
    assert (ops.START_UNIT in steps) == ("stop_unit" in taken)
    assert record[0][0] == "runtime_hook"  # poststop hooks run when all else is gone


def test_the_plan_in_words_and_as_json(plan: Plan) -> None:
    lines = plan.lines()
    told = "\n".join(lines)
    for where in (
        "linux.resources.memory.limit",
        "hooks.createRuntime[0]",
        "hooks.poststop[0]",
        "linux.netDevices[eth0]",
    ):
        assert where in told
    document: Any = json.loads(json.dumps(plan.document()))
    assert {step["actor"] for step in document["steps"]} == {"init", "runtime", "both"}
    assert len(document["steps"]) + len(document["delete"]) == sum(line[:4].strip().isdigit() for line in lines)
    (limit,) = [step for step in document["steps"] if step["where"] == "linux.resources.memory.limit"]
    assert str(64 << 20) in limit["fields"]["choices"]


STRANGE: "list[Any]" = [
    "x",
    ["nosuch", "", []],
    [[], "", []],
    ["release_root", 5, []],
    ["release_root", "", ["more", "than one"]],
    ["remove_cgroup", ""],
    ["remove_cgroup", "", "x"],
    ["remove_cgroup", "", []],
    ["remove_cgroup", "", ["/x"]],
    ["remove_cgroup", "", ["/x", 0]],
    ["remove_cgroup", "", [5, []]],
    ["remove_cgroup", "", ["", [5]]],
    ["remove_cgroup", "", ["/x", [], "more"]],
    ["remove_cgroup", "", ["/x\0y", []]],
    ["remove_cgroup", "", ["/x", ["/x\0y"]]],
    ["runtime_hook", "", ["poststop", 0, "/bin/true", ["a\0b"], None, 0, "stopped"]],
    ["stop_unit", "", ["of another driver", 0]],
    ["runtime_hook", "", []],
    ["runtime_hook", "", ["poststop", 0, 5, ["true"], None, -1, "stopped"]],
]


@pytest.mark.parametrize("step", STRANGE, ids=repr)
def test_a_step_of_another_version_is_refused_before_anything_is_taken_back(step: Any) -> None:
    from pyoci.container import delete

    record = {"cgroup": {"driver": "cgroupfs"}, "undo": [["remove_cgroup", "", ["/x", []]], step]}
    stub: Any = SimpleNamespace(record=record, path="/run/c")
    nobody: Any = None
    with pytest.raises(Error, match="that this pyoci does not know") as told:
        delete.take_back(stub, nobody, print)
    assert told.value.kind == "version"


OLD: "dict[str, Any]" = {
    "cgroup": {
        "driver": "cgroupfs",
        "version": 1,
        "cgroup_paths": {"cpu": "/cg/cpu/p/c", "cpuacct": "/cg/cpu/p/c", "pids": "/cg/pids/p/c"},
        "unified": "/cg/unified/p/c",
        "made": ["/cg/pids/p", "/cg/pids/p/c", "/cg/cpu/p/c"],
    },
    "hooks": [],
}


def test_a_container_of_the_version_before_is_taken_back() -> None:
    """It has no list, and had its parents of cgroups in the cgroup's record."""
    entry: Any = SimpleNamespace(record=OLD)
    steps = undo_of(entry)
    assert {name for name, _, _ in steps} <= set(_UNDOES)
    removed = [fields for name, _, fields in steps if name == "remove_cgroup"]
    assert removed == [["/cg/cpu/p/c", []], ["/cg/pids/p/c", ["/cg/pids/p"]], ["/cg/unified/p/c", []]]


def test_walk_is_from_the_last_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyoci.container import delete

    seen: "list[str]" = []
    stub: Any = SimpleNamespace(record={"undo": [[n, "", []] for n in "abc"]}, remove=lambda: seen.append("state"))
    monkeypatch.setattr(delete, "_UNDOES", {n: lambda e, m, w, where, f, n=n: seen.append(n) for n in "abc"})
    monkeypatch.setattr(delete, "_FIELDS", dict.fromkeys("abc", ((),)))
    nobody: Any = SimpleNamespace(warnings=[])
    delete.take_back(stub, nobody, print)
    assert seen == ["c", "b", "a", "state"]


@pytest.mark.parametrize("steps", [["stop_unit"], ["stop_unit", "release_root"], ["stop_unit", "return_devices"]])
def test_a_unit_is_stopped_when_nobody_is_left_in_it(monkeypatch: pytest.MonkeyPatch, steps: "list[str]") -> None:
    """Whatever else is taken back before: systemd sends SIGTERM, and waits for a minute and a half."""
    from pyoci.container import delete

    seen: "list[str]" = []
    undo = [[name, "", ["c.scope", 0] if name == "stop_unit" else []] for name in steps]
    record = {"cgroup": {"driver": "systemd"}, "undo": undo}
    stub: Any = SimpleNamespace(record=record, remove=lambda: None)
    manager: Any = SimpleNamespace(
        warnings=[], vacate=lambda: seen.append("vacate"), stop=lambda: seen.append("stop_unit")
    )
    delete.take_back(stub, manager, print)
    assert seen == ["vacate", "stop_unit"]


class Held:
    """A container that runs, as update and exec look at it."""

    def __init__(self, machine: CgroupHost, config: "dict[str, Any]") -> None:
        config["ociVersion"] = "1.2.0"
        self.kept = config
        made = made_cgroups.plan(config, "c", driver=machine.driver, host=machine)
        self.cgroups = cgroups.load(made.record(), machine)
        self.record: "dict[str, Any]" = {"cgroup": made.record()}
        for path, base in getattr(made.manager, "inner", made.manager).directories():
            tree.make(machine, base, path, [])
        steps = [*made.manager.before, *made.manager.joined]
        perform([step for step in steps if step[0] == ops.HAND_DOWN], made.work)

    def status(self) -> str:
        return "running"

    def manager(self) -> "cgroups.Manager":
        return self.cgroups

    def config(self) -> "dict[str, Any]":
        return json.loads(json.dumps(self.kept))  # type: ignore[no-any-return]


def test_update_is_a_plan_and_so_is_what_takes_it_back(machine: CgroupHost) -> None:
    entry: Any = Held(machine, rich("a.slice:pre:c" if machine.driver == "systemd" else "/p/c"))
    machine.written.clear()
    before = machine.directories()
    wanted = {"memory": {"limit": 32 << 20}, "pids": {"limit": 7}, "devices": RESOURCES["devices"]}
    plan = plan_update(entry, wanted)
    assert machine.directories() == before and machine.written == []
    found = [(who, name) for who, name, _ in names(plan)]
    assert {where for _, _, where in names(plan)} >= {"memory.limit", "pids.limit", "linux.resources"}
    assert ("runtime", "change_unit") in found or machine.driver == "cgroupfs"
    assert {name for _, name in found} & {"device_rules", "device_program"}
    assert found[-1] == ("runtime", "keep_config")
    limits = [step.fields for _, step in whole(plan) if step.operation == ops.LIMIT]
    back = [step.fields for step in undoing(plan) if step.operation == ops.LIMIT]
    assert {fields[0] for fields in limits} == {fields[0] for fields in back}
    assert all(fields[3] & ops.LIMIT_TRY for fields in back)
    assert undoing(plan)[0].fields == ("resources", RESOURCES)  # config.json as it was
    document = plan.document()
    assert document["failure"] and not document["delete"]
    told = plan.lines()
    assert "   -  when a step fails" in told and not any("end what runs" in line for line in told)


def test_where_exec_goes_is_a_step(machine: CgroupHost) -> None:
    entry: Any = Held(machine, rich("a.slice:pre:c" if machine.driver == "systemd" else "/p/c"))
    manager = entry.manager()
    for paused in (False, True):
        made = Plan()
        options = ExecOptions(cgroup=["in"], ignore_paused=paused)
        _compile_cgroups(made, manager, options, 1)
        (enter,) = made.birth
        inner: Any = getattr(manager, "inner", manager)
        of_v2 = inner.path if inner.VERSION == 2 else inner.paths.get("")
        born = [] if paused or not of_v2 else [(ops.BORN_IN, "--cgroup", ((of_v2, "in"),))]
        assert made.before == born
        assert enter[1] == "--cgroup" and set(enter[2][0][1::2]) == {"in"}
        paths = {path for path, _ in inner.directories()}
        assert set(enter[2][0][::2]) == paths and enter[2][1] == (ops.ENTER_MOVED if paused else 0)
    with pytest.raises(Error, match="nosuch"):
        _compile_cgroups(Plan(), manager, ExecOptions(cgroup=["nosuch:in"]), 1)


def test_restore_is_a_plan(machine: CgroupHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "Host", lambda: machine)
    config = rich("a.slice:pre:c" if machine.driver == "systemd" else "/p/c")
    del config["linux"]["netDevices"], config["linux"]["intelRdt"]
    config["mounts"] = [{"destination": "/data", "source": "/srv", "options": ["bind"]}]
    (tmp_path / "descriptors.json").write_text('["pipe:[7]", "/dev/null", "pipe:[8]"]')
    options = CreateOptions("/bundle", pid_file="/pid")
    before = machine.directories()
    _, plan = compile_restore(config, "c", options, CriuOptions(str(tmp_path), criu="/criu"), machine.driver)
    assert machine.directories() == before and machine.written == []
    found = [name for who, name, _ in names(plan)]
    order = ["note", "make_points", "lend_root", "restore", "enter_cgroups", "runtime_hook", "release_root", "pid_file"]
    assert [found.index(name) for name in order] == sorted(found.index(name) for name in order)
    assert found.count("record") == 2 and "limit" in found and found.index("limit") < found.index("runtime_hook")
    (told,) = [step.fields for _, step in whole(plan) if step.operation == ops.RESTORE]
    assert told[0] == "/criu" and told[3] == [("pipe:[7]", 0), ("pipe:[8]", 2)]
    assert {"key": "/data", "val": "/srv"} in told[4]["ext_mnt"]
    taken = {step.operation for step in undoing(plan)}
    assert {ops.RELEASE_ROOT, ops.REMOVE_CGROUP, ops.RUNTIME_HOOK} <= taken
    assert json.dumps(plan.document()) and any("have CRIU restore" in line for line in plan.lines())


CHANGING: "list[Any]" = [
    "x",
    ["nosuch", "", []],
    ["limit", "", []],
    ["limit", "", ["/c", ["a"], "", 2]],
    ["limit", "", ["/c", ["../../x", "1"], "", 2]],
    ["limit", "", ["/c", ["a", 5], "", 2]],
    ["limit", "", ["/c\0", ["a", "5"], "", 2]],
    ["limit", "", ["/c", ["a\0", "5"], "", 2]],
    ["limit", 5, ["/c", ["a", "5"], "", 2]],
    ["device_rules", "", ["/c", ["devices.allow", "a", "devices.deny"]]],
    ["device_rules", "", ["/c", ["../../x", "a"]]],
    ["device_rules", "", ["/c", "devices.allow a"]],
    ["keep_config", "", [5, None]],
]


@pytest.mark.parametrize("step", CHANGING, ids=repr)
def test_what_a_killed_update_left_is_looked_at_before_it_is_done(step: Any) -> None:
    entry: Any = SimpleNamespace(record={"changing": [step]}, path="/run/c", status=lambda: "running")
    with pytest.raises(Error, match="that this pyoci does not know") as told:
        update(entry, {})
    assert told.value.kind == "damaged"

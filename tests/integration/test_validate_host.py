"""`validate --host`: what a good config lacks on this host, and what create would say."""

import json
import os

import pytest

from pyoci.hostcheck.refusals import place_of
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.calls import MKDIR

pytestmark = pytest.mark.root


def told(box: Box, bundle: Bundle) -> "list[tuple[str, str]]":
    bundle.write()
    plain = box.call("validate", "--format", "json", str(bundle.path))
    assert plain.ok, plain  # by itself it is right
    result = box.call("validate", "--host", "--format", "json", str(bundle.path))
    document = json.loads(result.out)
    assert result.status == (0 if document["valid"] else 1)
    problems = [problem for problem in document["problems"] if problem["code"] == "host-lacks"]
    assert all(problem["line"] > 0 for problem in problems)
    return [(problem["place"], problem["message"]) for problem in problems]


def test_validate_host_lacks_what_mounts_want(box: Box) -> None:
    bundle = box.bundle().args("true")
    assert told(box, bundle) == []
    bundle.bind("/srv/missing", "/data")
    ((path, text),) = told(box, bundle)
    assert path == "mounts[4].source" and text == "/srv/missing does not exist"
    del bundle.config["mounts"][4]
    bundle.config["root"]["path"] = "nowhere"
    ((path, text),) = told(box, bundle)
    assert path == "root.path" and text.endswith("nowhere does not exist")
    assert box.left() == []


@pytest.mark.parametrize(
    ("word", "said"),
    [("/bin/nosuch", "has no /bin/nosuch"), ("nosuch", "has no nosuch in /bin"), ("/plain", "not executable"),
     ("/loop", "has no /loop"), ("/out", ""), ("/link/true", ""),
     ("./bin/nosuch", "has no /./bin/nosuch"), ("bin/true", ""), ("", "no program without a name")],
)  # fmt: skip
def test_validate_host_looks_for_the_program(box: Box, word: str, said: str) -> None:
    """Links are followed as the container will follow them."""
    bundle = box.bundle().args(word)
    (bundle.rootfs / "plain").write_text("")
    os.symlink("/loop", bundle.rootfs / "loop")
    os.symlink("../../../bin/busybox", bundle.rootfs / "out")
    os.symlink("/bin", bundle.rootfs / "link")
    problems = told(box, bundle)
    assert [path for path, _ in problems] == (["process.args[0]"] if said else [])
    assert said in "".join(text for _, text in problems)


@pytest.mark.parametrize(
    ("links", "destination", "program"),
    [
        ({"sbin": "usr/sbin"}, "/usr/sbin", "/sbin/tool"),
        ({"sbin": "usr/sbin"}, "/sbin", "/usr/sbin/tool"),
        ({"sbin": "/usr/sbin"}, "/sbin", "/sbin/tool"),
        ({"a": "b", "b": "/usr/../sbin"}, "/sbin", "/a/tool"),
        ({"opt": "usr"}, "/usr", "/opt/sbin/tool"),
    ],
)
def test_a_mount_brings_a_program_by_way_of_a_link(
    box: Box, links: "dict[str, str]", destination: str, program: str
) -> None:
    """Create, which is asked too, finds it."""
    bundle = box.bundle().args(program)
    for name, target in links.items():
        os.symlink(target, bundle.rootfs / name)
    (bundle.rootfs / "usr/sbin").mkdir(parents=True, exist_ok=True)
    if "sbin" not in links:
        (bundle.rootfs / "sbin").mkdir(exist_ok=True)
    brought = box.path / "brought"
    (brought / "sbin").mkdir(parents=True)
    for place in (brought / "tool", brought / "sbin/tool"):
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    bundle.bind(str(brought), destination)
    assert told(box, bundle) == []
    assert box.call("run", "--bundle", str(bundle.path), "c").ok


def test_a_mount_beside_a_link_brings_nothing(box: Box) -> None:
    bundle = box.bundle().args("/sbin/tool")
    os.symlink("usr/sbin", bundle.rootfs / "sbin")
    bundle.bind("/etc", "/usr/lib")
    assert [place for place, _ in told(box, bundle)] == ["process.args[0]"]


REFUSED = {
    "a mount in procfs": {"mounts+": [{"destination": "/proc/x", "type": "tmpfs", "source": "x"}]},
    "a mount over the root": {"mounts+": [{"destination": "/", "type": "tmpfs", "source": "x"}]},
    "a device over the root": {"linux.devices": [{"path": "/", "type": "c", "major": 1, "minor": 3}]},
    "no id": {"process.user.additionalGids": [2**32 - 1]},
    "no mount namespace": {"linux.namespaces": [{"type": "pid"}, {"type": "uts"}]},
    "too few files": {"process.rlimits": [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 9}]},
    "recursive options": {"mounts+": [{"destination": "/a", "type": "tmpfs", "source": "x", "options": ["rro"]}]},
    "no mappings": {"linux.namespaces+": [{"type": "user"}]},
    "lo": {"linux.netDevices": {"lo": {}}},
    "a memory policy": {"linux.memoryPolicy": {"mode": "MPOL_BIND", "nodes": "x"}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_validate_and_create_judge_alike(box: Box, name: str) -> None:
    """Of what no host could do, not create's alone: validate, validate --host, plan and create all refuse."""
    bundle = box.bundle().args("true")
    for path, value in REFUSED[name].items():
        *way, last = path.split(".")
        at = bundle.config
        for word in way:
            at = at[word]
        if last.endswith("+"):
            at[last[:-1]].extend(value)
        else:
            at[last] = value
    assert box.create(bundle, "c").status == 1
    place = ["--bundle", str(bundle.path)]
    assert [box.call(*words, *place).status for words in (["validate"], ["validate", "--host"], ["plan"])] == [1, 1, 1]


def test_what_create_would_refuse(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["resources"] = {"cpu": {"cpus": "4000"}}
    ((path, text),) = told(box, bundle)
    assert path == "linux.resources.cpu.cpus" and "CPUs 4000 are not there" in text


@pytest.mark.parametrize("limit", [{}, {"limit": 0}, {"limit": -1}])
def test_swap_alone_is_nothing_that_v1_takes(box: Box, limit: "dict[str, int]") -> None:
    bundle = box.bundle().args("true")
    bundle.linux["resources"] = {"memory": {**limit, "swap": 64 << 20}}
    found = [place for place, _ in told(box, bundle)]
    assert found == ([] if box.create(bundle, "c").ok else ["linux.resources.memory.swap"])
    bundle.linux["resources"] = {"memory": {"limit": 32 << 20, "swap": 64 << 20}}
    assert told(box, bundle) == []


def test_system_calls_that_the_library_does_not_know(box: Box) -> None:
    """It is a warning: those that another machine has are known, and a younger library knows more."""
    pytest.importorskip("cffi", reason="needs the Python library cffi")
    bundle = box.bundle().args("true")
    rules = [
        {"names": ["arm_fadvise64_64", *MKDIR], "action": "SCMP_ACT_ERRNO"},
        {"names": ["mkdri", *MKDIR, "mkdri", "raed"], "action": "SCMP_ACT_ERRNO"},
    ]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    assert told(box, bundle) == []
    result = box.ok("validate", "--host", "--format", "json", str(bundle.path))
    (problem,) = [each for each in json.loads(result.out)["problems"] if "libseccomp" in each["message"]]
    assert (problem["code"], problem["place"]) == ("host-ignores", "linux.seccomp.syscalls[1].names")
    assert problem["message"].endswith(": mkdri raed"), problem


def test_standard_input_is_no_bundle(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    with open(bundle.path / "config.json", "rb") as file:
        result = box.call("validate", "--host", "-", stdin=file)
    assert result.status == 2 and "not a bundle" in result.err, result


def test_places() -> None:
    assert place_of("mounts[0] (/data).options", {"mounts": [{}]}) == (("mounts", 0), True)
    assert place_of("linux.x", {"linux": {}}) == (("linux",), False)
    sysctls = {"linux": {"sysctl": {"net.a.b": ""}}}
    assert place_of("linux.sysctl[net.a.b]", sysctls) == (("linux", "sysctl", "net.a.b"), True)
    assert place_of("", sysctls) == ((), False)


def test_ids_that_no_mapping_has(box: Box) -> None:
    """A user whom /etc/passwd does not know is fine."""
    bundle = box.bundle().args("true")
    bundle.process["user"] = {"uid": 4711, "gid": 4711, "additionalGids": [5, 4712]}
    assert told(box, bundle) == []
    bundle.namespace("user")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 4711}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 4712}]
    found = told(box, bundle)
    assert [path for path, _ in found] == ["process.user.uid", "process.user.additionalGids[1]"]
    assert found[0][1] == "uid 4711 is in no mapping of the user namespace"
    bundle.process["user"] = {"uid": 4710, "gid": 4711, "additionalGids": [5]}
    assert told(box, bundle) == []
    spaces = box.bundle().args("true")
    spaces.namespace("user", "/proc/self/ns/user")  # whose ids are this test's
    assert told(box, spaces) == []


def fault(bundle: Bundle) -> "dict[str, str]":
    """Faults that this host and bundle have, each in another part of the config: its place, and a word of its text."""
    config, linux = bundle.config, bundle.linux
    bundle.args("nosuch")
    bundle.process["cwd"] = "/bin/busybox"
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 2**40}]
    bundle.process["apparmorProfile"] = bundle.process["selinuxLabel"] = "none"
    bundle.bind("/srv/missing", "/data")
    bundle.bind("/etc/passwd", "/bin/sub")
    linux["devices"] = [{"path": "/bin/busybox", "type": "c", "major": 1, "minor": 3}]
    (bundle.rootfs / "bin2").mkdir()
    bundle.bind("/etc/passwd", "/bin2")
    bundle.hook("createRuntime", "/srv/hook")
    bundle.hook("createRuntime", "/etc/passwd")
    bundle.hook("startContainer", "/srv/hook")
    bundle.namespace("network", "/etc/passwd")
    bundle.namespace("ipc", "/proc/self/ns/uts/")
    linux["sysctl"] = {"kernel.shmmax": "1", "net.ipv4.nosuch": "1", "net.ipv4.conf.eth9.forwarding": "1"}
    seccomp = {"names": [*MKDIR], "action": "SCMP_ACT_NOTIFY"}
    linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(bundle.path / "agent"), "syscalls": [seccomp],
    }  # fmt: skip
    linux["resources"] = {
        "cpu": {"cpus": "4000", "mems": "4001"}, "hugepageLimits": [{"pageSize": "3MB", "limit": 3}],
    }  # fmt: skip
    linux["intelRdt"] = {"closID": "x"}
    assert config["mounts"][4]["destination"] == "/data"
    return {
        "process.args[0]": "has no nosuch", "process.cwd": "is not a directory",
        "process.rlimits[0].hard": "fs.nr_open", "mounts[4].source": "does not exist",
        "mounts[6].source": "is not a directory", "linux.devices[0]": "another file",
        "hooks.createRuntime[0].path": "does not exist", "hooks.createRuntime[1].path": "is not executable",
        "hooks.startContainer[0].path": "of the rootfs",
        "linux.namespaces[4].path": "is no namespace", "linux.namespaces[5].path": "not a directory",
        'linux.sysctl["net.ipv4.nosuch"]': "the kernel has no", "linux.seccomp.listenerPath": "does not exist",
        "linux.resources.cpu.cpus": "4000", "linux.resources.cpu.mems": "4001",
        "linux.resources.hugepageLimits[0].pageSize": "3MB", "linux.intelRdt": "resctrl",
        "process.apparmorProfile": "AppArmor", "process.selinuxLabel": "SELinux",
    }  # fmt: skip


def test_all_is_told_at_once(box: Box) -> None:
    """Not what create would refuse first alone."""
    bundle = box.bundle()
    expected = fault(bundle)
    places = {
        "AppArmor": "/sys/module/apparmor",
        "SELinux": "/sys/fs/selinux/enforce",
        "resctrl": "/sys/fs/resctrl/info",
    }
    have = {name: os.path.exists(path) for name, path in places.items()}
    wanted = {path: word for path, word in expected.items() if not have.get(word)}
    found = dict(told(box, bundle))
    assert {path for path in wanted if path not in found} == set()
    assert {path: found[path] for path, word in wanted.items() if word not in found[path]} == {}
    assert set(found) <= set(expected), "one fault makes no other"
    assert box.left() == []


def test_a_root_that_is_not_there_hides_nothing(box: Box) -> None:
    bundle = box.bundle().args("nosuch")
    bundle.config["root"]["path"] = "nowhere"
    bundle.bind("/srv/missing", "/data")
    bundle.linux["resources"] = {"cpu": {"cpus": "4000"}}
    assert [path for path, _ in told(box, bundle)] == ["root.path", "mounts[4].source", "linux.resources.cpu.cpus"]


def test_another_file_than_config_json_is_judged_itself(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["resources"] = {"cpu": {"cpus": "4000"}}
    bundle.write()
    other = bundle.path / "other.json"
    os.rename(bundle.path / "config.json", other)
    result = box.call("validate", "--host", str(other))
    assert result.status == 1 and "CPUs 4000 are not there" in result.out, result


def test_plan_tells_what_is_missing(box: Box) -> None:
    """The plan is there, and so is its status 0."""
    bundle = box.bundle().args("true")
    bundle.write()
    assert " missing: " not in box.ok("plan", "--bundle", str(bundle.path)).out
    bundle.args("nosuch")
    bundle.bind("/srv/missing", "/data")
    bundle.write()
    lines = box.ok("plan", "--bundle", str(bundle.path)).out.splitlines()
    assert lines[-2:] == [
        "   -  missing: process.args[0]: the rootfs has no nosuch in /bin",
        "   -  missing: mounts[4].source: /srv/missing does not exist",
    ]
    document = json.loads(box.ok("plan", "--json", "--bundle", str(bundle.path)).out)
    assert document["missing"][1] == {"where": "mounts[4].source", "text": "/srv/missing does not exist"}


def test_hooks_of_unknown_kinds_are_ignored_as_create_does(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.config["hooks"] = {"x": 3, "y": [{"a": 1}]}
    bundle.write()
    done = box.call("validate", "--host", str(bundle.path))
    assert "internal" not in done.err + done.out, done
    assert box.ok("plan", "--bundle", str(bundle.path)).out


def test_a_warning_hides_no_refusal(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.config["mounts"] = [{"destination": "/", "type": "tmpfs", "source": "t", "foo": 1}]
    bundle.write()
    assert box.call("validate", str(bundle.path)).status == 1

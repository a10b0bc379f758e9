"""linux.netDevices: devices go in with their addresses; with the annotation they come back, whatever ends init."""

import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Started, at_each_call, run, tampered

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("ip"), reason="needs ip(8), of iproute2"),
]
V4, V6 = "10.213.77.5/24", "2001:db8:77::5/64"


def ip(*words: str, netns: str = "") -> Any:
    """What ip(8) says, as JSON; in the namespace at a path when one is given."""
    enter = ["nsenter", f"--net={netns}"] if netns else []
    done = subprocess.run([*enter, "ip", "-json", *words], capture_output=True, text=True, check=True, close_fds=False)
    return json.loads(done.stdout) if done.stdout.strip() else []


def names(netns: str = "") -> "list[str]":
    return [link["ifname"] for link in ip("link", "show", netns=netns)]


def addresses(name: str, netns: str = "") -> "list[str]":
    """Permanent addresses of global scope."""
    found = ip("address", "show", "dev", name, netns=netns)[0]["addr_info"]
    return [f"{a['local']}/{a['prefixlen']}" for a in found if a["scope"] == "global" and not a.get("dynamic")]


def is_up(name: str, netns: str = "") -> bool:
    return "UP" in ip("link", "show", "dev", name, netns=netns)[0]["flags"]


def add(name: str, kind: str, netns: str = "", index: int = 0) -> None:
    """A device of a kind; ifb stands in for dummy where the kernel has none of those."""
    words = ["link", "add", "name", name, *(["index", str(index)] if index else []), "type"]
    try:
        ip(*words, kind, netns=netns)
    except subprocess.CalledProcessError:
        if kind != "dummy":
            raise
        ip(*words, "ifb", netns=netns)


class Device:
    """A device on the host with addresses, up."""

    def __init__(self, kind: str) -> None:
        tag = uuid.uuid4().hex[:8]
        self.name, self.peer = f"py{tag}", f"pp{tag}" if kind == "veth" else ""
        if self.peer:
            ip("link", "add", self.name, "type", "veth", "peer", "name", self.peer)
        else:
            add(self.name, kind)
        ip("address", "add", V4, "dev", self.name, "label", f"{self.name}:1")
        ip("address", "add", "10.213.77.6/24", "dev", self.name)
        ip("address", "add", V6, "dev", self.name, "nodad")
        ip("link", "set", self.name, "up")
        self.before = self.seen()

    def seen(self) -> Any:
        """All that must be the same again."""
        link = ip("address", "show", "dev", self.name)[0]
        info = [a for a in link["addr_info"] if a["scope"] == "global"]
        return link["ifindex"], link.get("address"), "UP" in link["flags"], link["mtu"], info

    def remove(self) -> None:
        for name in (self.name, self.peer):
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


@pytest.fixture(params=["dummy", "veth"])
def device(request: pytest.FixtureRequest, box: Box) -> Iterator[Device]:
    made = Device(request.param)
    yield made
    made.remove()


@pytest.fixture
def dummy(box: Box) -> Iterator[Device]:
    made = Device("dummy")
    yield made
    made.remove()


def taking(bundle: Bundle, device: Device, name: str = "") -> Bundle:
    bundle.linux["netDevices"] = {device.name: {"name": name} if name else {}}
    return bundle.shell("sleep 1000")


def lending(bundle: Bundle, device: Device, name: str = "") -> Bundle:
    """The device is to come back."""
    bundle.config["annotations"] = {"org.pyoci.netDevices.return": "true"}
    return taking(bundle, device, name)


def indices(namespace: int) -> "list[int]":
    """Devices of the namespace of a descriptor, but for the loopback."""
    links = ip("link", "show", netns=f"/proc/self/fd/{namespace}")
    return [link["ifindex"] for link in links if link["ifname"] != "lo"]


@pytest.mark.parametrize("word", [None, "false", "yes"])
def test_delete_moves_nothing_out_of_the_namespace(box: Box, device: Device, word: "str | None") -> None:
    """config-linux.md, "Namespace Lifecycle and Container Termination". A descriptor keeps the namespace for us to look
    at; with its end the virtual device ends."""
    bundle = taking(box.bundle(), device, "inside0")
    if word is not None:
        bundle.config["annotations"] = {"org.pyoci.netDevices.return": word}
    state = box.started(bundle)
    namespace = os.open(f"/proc/{state['pid']}/ns/net", os.O_RDONLY)
    os.set_inheritable(namespace, True)
    try:
        before = indices(namespace)
        assert before == [device.before[0]]
        assert leftovers.mounts_below(str(box.root)) == []  # nothing of ours keeps the namespace
        os.kill(state["pid"], signal.SIGKILL)
        _ended(box, state["pid"])
        box.ok("delete", "c")
        assert indices(namespace) == before
        assert device.name not in names()
    finally:
        os.close(namespace)
    assert box.left() == []


@pytest.mark.parametrize("name", ["", "inside0"])
def test_device_moves_with_its_addresses_and_comes_back(box: Box, device: Device, name: str) -> None:
    state = box.started(lending(box.bundle(), device, name))
    inside = f"/proc/{state['pid']}/ns/net"
    wanted = name or device.name
    assert sorted(names(inside)) == sorted(["lo", wanted])
    assert addresses(wanted, inside) == [V4, "10.213.77.6/24", V6]
    assert is_up(wanted, inside)
    labels = [a.get("label") for a in ip("address", "show", "dev", wanted, netns=inside)[0]["addr_info"]]
    assert f"{wanted}:1" in labels
    assert device.name not in names()
    box.ok("kill", "c", "KILL")
    _ended(box, state["pid"])
    box.ok("delete", "c")
    assert device.seen() == device.before
    assert box.left() == []


def _ended(box: Box, pid: int) -> None:
    """Waits for a process by its pidfd."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    select.select([fd], [], [], 30)
    os.close(fd)
    leftovers.reap()


def test_back_after_init_was_killed_from_outside(box: Box, device: Device) -> None:
    """Nobody holds the namespace then but the state directory: a virtual device would be destroyed with it."""
    state = box.started(lending(box.bundle(), device, "inside0"))
    os.kill(state["pid"], signal.SIGKILL)
    _ended(box, state["pid"])
    assert box.state()["status"] == "stopped"
    assert device.name not in names()
    box.ok("delete", "c")
    assert device.seen() == device.before


def test_back_though_the_container_renamed_it(box: Box, dummy: Device) -> None:
    state = box.started(lending(box.bundle(), dummy, "inside0"))
    inside = f"/proc/{state['pid']}/ns/net"
    ip("link", "set", "inside0", "down", netns=inside)
    ip("address", "flush", "dev", "inside0", netns=inside)
    ip("link", "set", "inside0", "name", "other0", netns=inside)
    box.ok("delete", "--force", "c")
    assert dummy.seen() == dummy.before


def test_a_device_that_was_down_is_down_again(box: Box, dummy: Device) -> None:
    ip("link", "set", dummy.name, "down")
    state = box.started(lending(box.bundle(), dummy))
    assert is_up(dummy.name, f"/proc/{state['pid']}/ns/net")
    box.ok("delete", "--force", "c")
    assert not is_up(dummy.name)


def test_foreground_run_puts_it_back(box: Box, dummy: Device) -> None:
    bundle = lending(box.bundle(), dummy, "inside0").shell("cat /proc/net/dev")
    assert "inside0:" in box.output(bundle)
    assert dummy.seen() == dummy.before


def test_a_failing_create_puts_it_back(box: Box, dummy: Device) -> None:
    bundle = taking(box.bundle(), dummy).args("/no/such/program")
    failed = box.create(bundle, "c")
    assert failed.status == 1
    assert dummy.seen() == dummy.before
    assert box.left() == []


def test_template_is_completed_by_the_kernel(box: Box, dummy: Device) -> None:
    state = box.started(lending(box.bundle(), dummy, "many%d"))
    assert "many0" in names(f"/proc/{state['pid']}/ns/net")
    box.ok("delete", "--force", "c")
    assert dummy.seen() == dummy.before


def test_template_where_the_first_names_are_taken(box: Box, dummy: Device) -> None:
    """The kernel moves it by its own name, and only then finds that the other is taken."""
    holder = box.started(box.bundle().shell("sleep 1000"), "holder")
    path = f"/proc/{holder['pid']}/ns/net"
    for name in ("many0", "many1"):
        add(name, "dummy", path)
    bundle = taking(box.bundle(), dummy, "many%d")
    bundle.namespace("network", path)
    box.started(bundle)
    assert sorted(names(path)) == ["lo", "many0", "many1", "many2"]
    assert addresses("many2", path)[0] == V4
    assert addresses("many0", path) == addresses("many1", path) == []
    box.ok("delete", "--force", "c")
    box.ok("delete", "--force", "holder")


def test_another_device_comes_while_it_goes_back(box: Box, dummy: Device, device: Device) -> None:
    """A tracer holds `delete` up after each request. The other's index is smaller, so it is the first new one."""
    dummy.remove()
    box.started(lending(box.bundle(), device, "inside0"))
    running = Started([*tampered("sendmsg:delay_exit=100000"), *box.words("delete", "--force", "c")])
    while device.name not in names() and running.process.poll() is None:
        pass
    add(dummy.name, "dummy", index=dummy.before[0])
    done = running.finish()
    assert (done.status, done.err) == (0, "")
    assert device.seen() == device.before
    assert addresses(dummy.name) == [] and not is_up(dummy.name)


def test_an_alternative_name_that_the_host_has_keeps_it_away(box: Box, dummy: Device) -> None:
    """The container gave it; no other name helps then, and `delete` must not try for ever."""
    state = box.started(lending(box.bundle(), dummy, "inside0"))
    add(dummy.name, "dummy")
    words = ["property", "add", "dev", "inside0", "altname", dummy.name]
    ip("link", *words, netns=f"/proc/{state['pid']}/ns/net")
    done = box.ok("delete", "--force", "c")
    assert f'level=warning msg="linux.netDevices[{dummy.name}]: move it: file exists (EEXIST) (a name of it' in done.err
    assert not is_up(dummy.name) and addresses(dummy.name) == []


@pytest.mark.parametrize("inside", ["", "inside0"])
def test_its_name_was_taken_meanwhile(box: Box, dummy: Device, inside: str) -> None:
    box.started(lending(box.bundle(), dummy, inside))
    add(dummy.name, "dummy")
    done = box.ok("delete", "--force", "c")
    told = re.search(rf"its name {dummy.name} is taken on the host \(it is (\w+) now\)", done.err)
    assert told is not None, done.err
    new = told[1]
    assert addresses(new)[0] == V4
    ip("link", "delete", new)


def test_in_a_new_user_namespace(box: Box, dummy: Device) -> None:
    bundle = lending(box.bundle(), dummy, "inside0")
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    os.chown(bundle.rootfs, 100000, 100000)
    for part in (box.path, *box.path.parents):
        if part.stat().st_uid == 0 and not part.stat().st_mode & 1:
            part.chmod(part.stat().st_mode | 0o11)
    state = box.started(bundle)
    assert addresses("inside0", f"/proc/{state['pid']}/ns/net") == [V4, "10.213.77.6/24", V6]
    box.ok("delete", "--force", "c")
    assert dummy.seen() == dummy.before


def test_namespace_of_others_keeps_the_device(box: Box, dummy: Device) -> None:
    """config-linux.md: the owner of a network namespace decides about its devices."""
    holder = box.started(box.bundle().shell("sleep 1000"), "holder")
    path = f"/proc/{holder['pid']}/ns/net"
    bundle = lending(box.bundle(), dummy, "inside0")
    bundle.namespace("network", path)
    box.started(bundle)
    assert addresses("inside0", path)[0] == V4
    box.ok("delete", "--force", "c")
    assert sorted(names(path)) == ["inside0", "lo"]
    box.ok("delete", "--force", "holder")


def test_own_namespace_that_others_joined_keeps_the_device(box: Box, dummy: Device) -> None:
    owner = box.started(lending(box.bundle(), dummy, "inside0"))
    guest = box.bundle().shell("sleep 1000")
    guest.namespace("network", f"/proc/{owner['pid']}/ns/net")
    state = box.started(guest, "guest")
    box.ok("delete", "--force", "c")
    assert sorted(names(f"/proc/{state['pid']}/ns/net")) == ["inside0", "lo"]
    box.ok("delete", "--force", "guest")


def test_refused_before_anything_is_made(box: Box, dummy: Device) -> None:
    holder = box.started(box.bundle().shell("sleep 1000"), "holder")
    kept = box.left()
    cases = [
        ({"no-such-dev": {}}, "", "linux.netDevices[no-such-dev]: no such network device"),
        ({"lo": {"name": "lo1"}}, "", "lo belongs to its namespace"),
        ({dummy.name: {"name": "lo"}}, "", "already has a device lo"),
        ({dummy.name: {"name": "lo"}}, f"/proc/{holder['pid']}/ns/net", "already has a device lo"),
        ({dummy.name: {}}, "/proc/self/ns/net", "the host's own network namespace"),
        ({dummy.name: {"name": "a/b"}}, "", "is no name of a network device"),
        ({dummy.name: {"name": "x" * 16}}, "", "is no name of a network device"),
        ({dummy.name: {}}, "none", "network namespace"),
    ]
    for devices, path, words in cases:
        bundle = box.bundle()
        bundle.linux["netDevices"] = devices
        if path == "none":
            bundle.without("network")
        elif path:
            bundle.namespace("network", path)
        failed = box.create(bundle, "c")
        assert failed.status == 1
        assert words in failed.err
        assert box.left() == kept
    assert dummy.seen() == dummy.before
    box.ok("delete", "--force", "holder")


def test_a_device_that_cannot_move_undoes_the_others(box: Box, dummy: Device) -> None:
    """Bridges belong to their namespace: only the kernel knows."""
    bridge = f"br{dummy.name[2:]}"
    ip("link", "add", bridge, "type", "bridge")
    try:
        bundle = taking(box.bundle(), dummy)
        bundle.linux["netDevices"] = {dummy.name: {}, bridge: {}}
        failed = box.create(bundle, "c")
        if failed.ok:
            pytest.skip("this kernel moves bridges")
        assert f"linux.netDevices[{bridge}]: move it" in failed.err
        assert dummy.seen() == dummy.before
        assert box.left() == []
    finally:
        ip("link", "delete", bridge)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["create", "delete"])
def test_killed_at_any_call_nothing_is_lost(box: Box, dummy: Device, command: str) -> None:
    """Killed by strace at each netlink request: `delete --force` finds the device."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    bundle = lending(box.bundle(), dummy, "inside0")
    bundle.write()

    def attempt(tracer: "list[str]") -> bool:
        if command == "delete":
            assert box.create(bundle, "c").ok
        words = ["create", "--bundle", str(bundle.path), "c"] if command == "create" else ["delete", "--force", "c"]
        done = run([*tracer, *box.words(*words)])
        box.ok("delete", "--force", "c")
        assert dummy.seen() == dummy.before, (command, tracer)
        return done.ok

    assert at_each_call(["sendmsg", "recvmsg", "mount", "move_mount", "umount2"], attempt) > 5


def test_checkpoint_is_refused(box: Box, dummy: Device) -> None:
    """CRIU could not bring the device back."""
    box.started(taking(box.bundle(), dummy))
    failed = box.call("checkpoint", "--image-path", str(box.path / "images"), "c")
    assert "linux.netDevices: a container with devices of the host's network cannot be checkpointed" in failed.err
    assert box.state()["status"] == "running"

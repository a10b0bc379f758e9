"""What a container can get hold of: executables, descriptors, directories, sockets, state of the host."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from controls import Control

from tests.support.box import Box
from tests.support.command import run

covers = pytest.mark.covers
SLEEP = "while :; do sleep 0.1; done"


@covers("CVE-2019-5736", "CVE-2020-14298", "P7")
def test_no_file_of_the_host_is_in_init(box: Box) -> None:
    pid = box.made_container(box.bundle().shell(SLEEP), "c")["pid"]
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")
    named = [line.split(None, 5)[5] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/" in line]
    assert named
    assert all(name.startswith("/memfd:") for name in named), named
    for flags in (os.O_WRONLY, os.O_RDWR):
        with pytest.raises(OSError):
            os.close(os.open(f"/proc/{pid}/exe", flags))


@covers("CVE-2019-5736", "CVE-2016-9962", "CVE-2020-14300", "CVE-2016-8649")
def test_nothing_of_the_host_shows_while_processes_join(box: Box) -> None:
    """A privileged process in the container looks at everybody's executable, directories and descriptors."""
    bundle = box.bundle().shell(
        "while :; do for p in /proc/[0-9]*; do ls -l $p/exe $p/cwd $p/fd $p/map_files; done; done"
        " >> /tmp/seen 2>/dev/null"
    )
    capabilities = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
    box.started(bundle)
    for _ in range(25):
        box.ok("exec", "c", "true")
    seen = (bundle.rootfs / "tmp" / "seen").read_text()
    assert "/bin/busybox" in seen
    import sys

    for path in (str(box.root), os.path.realpath(sys.executable), "libpython", "/pyoci/", ".so"):
        assert path not in seen, path


# A caller that forgot a descriptor of the host's root in what it starts
LEAKY = ["sh", "-c", 'exec 8</ 9</; exec "$@"', "sh"]


@covers("CVE-2024-21626", "P11")
@pytest.mark.parametrize("kind", ["run", "exec"])
def test_a_working_directory_outside(box: Box, kind: str) -> None:
    secret = box.path / "secret"
    secret.write_text("secret of the host")
    bundle = box.bundle()
    script = f"cat ..{secret} ../..{secret} ../../../../..{secret}; pwd"
    if kind == "exec":
        box.started(bundle.shell(SLEEP))
    for number in range(3, 20):
        cwd = f"/proc/self/fd/{number}"
        if kind == "run":
            bundle.process["cwd"] = cwd
            bundle.shell(script).write()
            result = run([*LEAKY, *box.words("run", "--bundle", str(bundle.path), "c")])
        else:
            result = run([*LEAKY, *box.words("exec", "--cwd", cwd, "c", "sh", "-c", script)])
        assert "secret of the host" not in result.out, number


@covers("CVE-2024-21626")
def test_a_runtime_that_hands_on_its_callers_directory_is_caught(box: Box, crun: Control) -> None:
    secret = box.path / "secret"
    secret.write_text("secret of the host")
    bundle = box.bundle().shell(f"cat ..{secret} .{secret} ../..{secret}")
    bundle.process["cwd"] = "/proc/self/fd/9"
    crun.program = LEAKY
    result = crun.run(bundle)
    crun.failed("secret of the host" in result.out, result)


@covers("CVE-2024-21626")
@pytest.mark.parametrize("cwd", ["/proc/self/root/..", "/proc/1/cwd", "/link"])
def test_other_ways_to_a_directory_outside(box: Box, cwd: str) -> None:
    secret = box.path / "secret"
    secret.write_text("secret of the host")
    bundle = box.bundle().shell(f"cat ..{secret} .{secret} ../..{secret}; ls")
    (bundle.rootfs / "link").symlink_to("/proc/self/fd/4")
    bundle.process["cwd"] = cwd
    assert "secret of the host" not in box.run(bundle).out


@covers("CVE-2026-41163", "CVE-2015-8709")
def test_waiting_init_cannot_be_looked_into_by_its_own_user(box: Box) -> None:
    bundle = box.bundle().shell(SLEEP)
    bundle.namespace("user")
    for key in ("uidMappings", "gidMappings"):
        bundle.linux[key] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
    pid = box.made_container(bundle, "c")["pid"]
    for name in ("exe", "cwd", "fd/0", "fd/3"):
        peer = ["setpriv", "--reuid=200000", "--regid=200000", "--clear-groups", "readlink", f"/proc/{pid}/{name}"]
        assert subprocess.run(peer, check=False, stdout=subprocess.PIPE).stdout == b"", name


def abstract_sockets() -> "set[str]":
    lines = Path("/proc/net/unix").read_text().splitlines()
    return {line.split()[-1] for line in lines if line.split()[-1].startswith("@")}


@covers("CVE-2020-15257")
def test_no_socket_without_a_path(box: Box) -> None:
    before = abstract_sockets()
    bundle = box.bundle().shell(SLEEP)
    bundle.without("network")
    box.made_container(bundle, "c")
    assert abstract_sockets() <= before
    (socket,) = [path for path in (box.root / "c").iterdir() if path.is_socket()]
    assert (box.root / "c").stat().st_mode & 0o077 == 0
    assert socket


# The state root


class Above:
    """A directory with a root of states in it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.path = box.path / "above"
        self.path.mkdir()

    def refused(self, root: Path) -> str:
        before = sorted(str(path) for path in self.box.path.rglob("*"))
        bundle = self.box.bundle().args("true")
        bundle.write()
        words = [*self.box.words()[:1], "--root", str(root), "create", "--bundle", str(bundle.path), "c"]
        result = run(words)
        assert result.status == 1, result
        after = [str(path) for path in self.box.path.rglob("*") if not path.is_relative_to(bundle.path)]
        assert sorted(after) == before, "something was made"
        return result.err


@covers("CVE-2015-1331")
@pytest.mark.parametrize(("owner", "mode"), [(0, 0o777), (1234, 0o755), (1234, 0o1777), (0, 0o757)])
@pytest.mark.parametrize("exists", [True, False])
def test_a_state_root_below_what_others_can_write(box: Box, owner: int, mode: int, exists: bool) -> None:
    """Its name is theirs to give to another directory."""
    above = Above(box)
    if exists:
        (above.path / "root").mkdir(mode=0o700)
    os.chown(above.path, owner, -1)
    above.path.chmod(mode)
    assert f"others can write to {above.path}: its owner is {owner}" in above.refused(above.path / "root")
    assert f"others can write to {above.path}" in above.refused(above.path / "deep" / "root")


@covers("CVE-2015-1331")
def test_a_state_root_that_a_link_leads_to(box: Box) -> None:
    """The link is in a place of ours, what it leads through is not."""
    above = Above(box)
    (above.path / "root").mkdir(mode=0o700)
    above.path.chmod(0o777)
    for number, target in enumerate((above.path, Path("above"), above.path / "root")):
        link = box.path / f"link{number}"
        link.symlink_to(target)
        assert f"others can write to {above.path}" in above.refused(link if number == 2 else link / "root")


def test_a_state_root_where_all_may_make_names_but_not_change_ours(box: Box) -> None:
    above = Above(box)
    above.path.chmod(0o1777)
    box.root = above.path / "root"
    assert box.create(box.bundle().args("true"), "c").ok
    box.ok("delete", "--force", "c")


def test_no_name_is_no_state_root(box: Box) -> None:
    """It would be the working directory, whose directories have names as containers have."""
    (box.path / "c").mkdir()
    result = run([*box.words()[:1], "--root", "", "delete", "--force", "c"], cwd=box.path)
    assert (result.status, "--root argument must not be empty" in result.err) == (1, True), result
    assert (box.path / "c").exists()


@covers("CVE-2019-12439", "CVE-2015-1331")
@pytest.mark.parametrize(("owner", "mode"), [(0, 0o777), (0, 0o770), (1234, 0o700)])
def test_a_state_root_of_others(box: Box, owner: int, mode: int) -> None:
    box.root.mkdir()
    os.chown(box.root, owner, -1)
    box.root.chmod(mode)
    result = box.create(box.bundle().args("true"), "c")
    assert result.status == 1
    assert "others can write" in result.err
    assert box.names() == []


@covers("CVE-2021-41103", "CVE-2024-25621", "CVE-2021-41091")
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_state_is_nobody_elses(box: Box, umask: int) -> None:
    before = os.umask(umask)
    try:
        bundle = box.bundle().shell(SLEEP)
        box.made_container(bundle, "c")
    finally:
        os.umask(before)
    for path in [box.root, *box.root.rglob("*")]:
        if path.is_dir():
            assert path.stat().st_mode & 0o077 == 0, path


IDS = ["../x", "a/b", ".", "..", "nl\n", "конт", "a" * 1025, "", "a b", "a\tb", "@seccomp", "a\\b", "é"]


@covers("state-lost")
@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":1}'])
def test_a_damaged_state_loses_no_process(box: Box, mutant: Any, text: str) -> None:
    """`delete --force` ends what state.json named, by its copy; without one it refuses and keeps everything."""
    pid = box.started(box.bundle().shell(SLEEP))["pid"]
    place = box.root / "c"
    whole = (place / "state.json.copy").read_text()
    (place / "state.json").write_text(text)
    (place / "state.json.copy").write_text(text)
    before = sorted(os.listdir(place))
    result = box.call("delete", "--force", "c")
    assert result.status == 1 and "nothing was removed" in result.err, result
    os.kill(pid, 0)
    assert sorted(os.listdir(place)) == before
    if not text:
        broken = mutant(
            "container/state.py", "            self.record = recover(self, problem)\n", "            return False\n"
        )
        broken.root.symlink_to(box.root)
        gone = broken.call("delete", "--force", "c").ok and box.names() == []
        os.kill(pid, 0)
        broken.failed(gone)
        place.mkdir()
    (place / "state.json").write_text(text)
    (place / "state.json.copy").write_text(whole)
    box.ok("delete", "--force", "c")
    assert box.left() == []


@covers("crun-ids")
@pytest.mark.parametrize("name", IDS, ids=lambda name: ascii(name[:9]))
def test_ids(box: Box, name: str) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    before = sorted(os.listdir(box.path))
    result = box.call("create", "--bundle", str(bundle.path), "--", name)
    assert result.status != 0
    assert "Traceback" not in result.err
    assert box.names() == []
    assert [name for name in sorted(os.listdir(box.path)) if name != "state"] == [n for n in before if n != "state"]


@covers("crun-ids")
def test_a_runtime_that_takes_any_id_is_caught(box: Box, crun: Control) -> None:
    crun.failed(crun.run(box.bundle().args("true"), name="nl\n").ok)


@covers("P26", "CVE-2017-5985")
def test_a_launcher_with_privilege_of_its_own_does_nothing(box: Box, tmp_path: Path) -> None:
    import shutil
    import tempfile

    from tests.support.command import PYOCI

    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        os.chmod(place, 0o755)
        copy = Path(place) / "pyoci"
        shutil.copy(PYOCI, copy)
        copy.chmod(0o4755)
        as_user = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", str(copy), "--version"]
        done = subprocess.run(as_user, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "set-user-ID" in done.stderr

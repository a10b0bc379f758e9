"""linux.intelRdt on a resctrl of plain files: what is made, written, joined, removed, and refused."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from test_checkpoint import COUNTER, CRIU, number, until, why_not

from tests.support import fake_resctrl
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Result, run

pytestmark = pytest.mark.root
COMMAND = str(Path(fake_resctrl.__file__))
L3, MB = "L3:0=f;1=f0", "MB:0=20;1=70"


class Resctrl:
    """The fake tree, and the command on it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.path = fake_resctrl.make_tree(box.path / "resctrl")

    def call(self, *words: str, **popen: Any) -> Result:
        return run([sys.executable, COMMAND, str(self.path), "--root", str(self.box.root), *words], **popen)

    def create(self, rdt: "dict[str, Any]", name: str = "c", args: str = "sleep 1000", **popen: Any) -> Result:
        bundle = self.box.bundle().shell(args)
        bundle.linux["intelRdt"] = rdt
        bundle.write()
        return self.call("create", "--bundle", str(bundle.path), name, **popen)

    def created(self, rdt: "dict[str, Any]", name: str = "c") -> int:
        result = self.create(rdt, name)
        assert result.ok, result
        return int(self.box.state(name)["pid"])

    def delete(self, name: str = "c") -> None:
        result = self.call("delete", "--force", name)
        assert (result.status, result.err) == (0, "")

    def text(self, name: str) -> str:
        return (self.path / name).read_text()

    def groups(self) -> "list[str]":
        names = {str(path.parent.relative_to(self.path)) for path in self.path.rglob("tasks")}
        return sorted(names - {"."})


@pytest.fixture
def resctrl(box: Box) -> Resctrl:
    return Resctrl(box)


def test_class_named_after_the_container(resctrl: Resctrl) -> None:
    pid = resctrl.created({"l3CacheSchema": L3})
    assert resctrl.text("c/schemata").startswith(L3 + "\n")
    assert resctrl.text("c/tasks") == f"{pid}\n"
    resctrl.delete()
    assert resctrl.groups() == []


def test_an_empty_object_asks_for_a_class(resctrl: Resctrl) -> None:
    resctrl.created({})
    assert resctrl.groups() == ["c"]
    assert resctrl.text("c/schemata") == fake_resctrl.ROOT_SCHEMATA
    resctrl.delete()


def test_without_it_nothing_is_touched(resctrl: Resctrl) -> None:
    bundle = resctrl.box.bundle()
    bundle.write()
    before = sorted((str(p), p.stat().st_mtime_ns) for p in resctrl.path.rglob("*"))
    assert resctrl.call("create", "--bundle", str(bundle.path), "c").ok
    assert sorted((str(p), p.stat().st_mtime_ns) for p in resctrl.path.rglob("*")) == before
    resctrl.delete()


def test_class_of_clos_id_is_made_and_stays(resctrl: Resctrl) -> None:
    resctrl.created({"closID": "gold", "memBwSchema": MB})
    assert resctrl.text("gold/schemata").startswith(MB + "\n")
    resctrl.delete()
    assert resctrl.groups() == ["gold"]


def test_class_made_before_is_joined_and_not_written(resctrl: Resctrl) -> None:
    fake_resctrl.make_group(str(resctrl.path / "gold"))
    pid = resctrl.created({"closID": "gold"})
    assert resctrl.text("gold/tasks") == f"{pid}\n"
    assert resctrl.text("gold/schemata") == fake_resctrl.ROOT_SCHEMATA
    resctrl.delete()
    assert resctrl.groups() == ["gold"]


def test_root_class(resctrl: Resctrl) -> None:
    pid = resctrl.created({"closID": "/"})
    assert resctrl.text("tasks") == f"{pid}\n"
    resctrl.delete()
    assert resctrl.path.is_dir()


def test_same_schema_in_other_words_matches(resctrl: Resctrl) -> None:
    """The kernel pads masks with zeros and rounds bandwidth up."""
    fake_resctrl.make_group(str(resctrl.path / "gold"))
    resctrl.created({"closID": "gold", "l3CacheSchema": "L3:1=0x7ff;0=07ff", "memBwSchema": "MB:0=95"})
    resctrl.delete()


def test_every_line_is_written_in_order(resctrl: Resctrl, monkeypatch: pytest.MonkeyPatch) -> None:
    log = resctrl.box.path / "writes"
    code = Path(COMMAND).read_text()
    # keep what is written: a plain file holds the last line alone
    code = code.replace(
        "sys.path.insert(0, str(Path(__file__).parents[2]))",
        f"sys.path.insert(0, {str(Path(COMMAND).parents[2])!r})",
    ).replace(
        "def rmdir(self",
        f'def write(self, fd: int, data: bytes) -> int:\n            with open({str(log)!r}, "ab") as file:\n'
        "                file.write(data)\n            return posix.write(fd, data)\n\n        def rmdir(self",
    )
    logging = resctrl.box.path / "logging.py"
    logging.write_text(code)
    monkeypatch.setattr(sys.modules[__name__], "COMMAND", str(logging))
    rdt = {"l3CacheSchema": f"MB:0=50\n{L3}", "memBwSchema": MB, "schemata": ["L3:0=1", "L3:1=3"]}
    pid = resctrl.created(rdt)
    assert log.read_text() == f"{L3}\n{MB}\nL3:0=1\nL3:1=3\n{pid}"
    resctrl.delete()


def test_monitoring_group_comes_and_goes(resctrl: Resctrl) -> None:
    pid = resctrl.created({"closID": "/", "enableMonitoring": True})
    assert resctrl.text("mon_groups/c/tasks") == f"{pid}\n"
    resctrl.box.ok("start", "c")
    stats = json.loads(resctrl.call("events", "--stats", "c").out)["data"]["intel_rdt"]
    assert stats["cmt_stats"] == [{"llc_occupancy": 4096}]
    assert stats["l3_cache_info"] == {"cbm_mask": "7ff", "min_cbm_bits": 1, "num_closids": 4}
    assert stats["l3_cache_schema_root"] == "L3:0=7ff;1=7ff"
    resctrl.delete()
    assert resctrl.groups() == []


def test_exec_joins_too(resctrl: Resctrl) -> None:
    """What joins is the process that starts the program's inside the pid namespace; children inherit."""
    pid = resctrl.created({"l3CacheSchema": L3, "enableMonitoring": True})
    resctrl.box.ok("start", "c")
    assert resctrl.call("exec", "--detach", "c", "sleep", "1000").ok
    assert resctrl.text("c/tasks") == resctrl.text("c/mon_groups/c/tasks")
    assert int(resctrl.text("c/tasks").split()[-1]) != pid
    resctrl.delete()


@pytest.mark.parametrize(
    ("rdt", "words"),
    [
        ({"closID": "none"}, "linux.intelRdt.closID: clos dir not accessible (must be pre-created when"),
        ({"closID": "gold", "l3CacheSchema": L3}, "linux.intelRdt.l3CacheSchema: class gold exists without the line"),
        (
            {"closID": "gold", "memBwSchema": "MB:0=50"},
            "linux.intelRdt.memBwSchema: class gold exists without the line",
        ),
        ({"closID": "info"}, "not a name of a class"),
        ({"closID": "../x"}, "no name of a directory"),
        ({"schemata": ["L2:0=f"]}, "linux.intelRdt.schemata[0]: this hardware has no allocation of L2"),
        ({"memBwSchema": "0=50"}, "linux.intelRdt.memBwSchema"),
    ],
)
def test_refused_before_anything_is_made(resctrl: Resctrl, rdt: "dict[str, Any]", words: str) -> None:
    fake_resctrl.make_group(str(resctrl.path / "gold"))
    failed = resctrl.create(rdt)
    assert failed.status == 1
    assert words in failed.err
    assert resctrl.groups() == ["gold"]
    assert resctrl.box.left() == []


def test_foreign_class_of_the_containers_name(resctrl: Resctrl) -> None:
    fake_resctrl.make_group(str(resctrl.path / "c"))
    assert "class c exists already" in resctrl.create({"l3CacheSchema": L3}).err
    assert resctrl.groups() == ["c"]


def test_failing_create_removes_what_it_made(resctrl: Resctrl) -> None:
    failed = resctrl.create({"closID": "gold", "l3CacheSchema": L3, "enableMonitoring": True}, args="true")
    assert failed.ok
    resctrl.delete()
    bundle = resctrl.box.bundle().args("/no/such/program")
    bundle.linux["intelRdt"] = {"closID": "silver", "l3CacheSchema": L3, "enableMonitoring": True}
    bundle.write()
    assert resctrl.call("create", "--bundle", str(bundle.path), "d").status == 1
    assert resctrl.groups() == ["gold"]


def test_kernels_own_words_are_in_the_error(resctrl: Resctrl) -> None:
    (resctrl.path / "info/last_cmd_status").write_text("mask f0f has non-consecutive 1-bits\n")
    fake_resctrl.make_group(str(resctrl.path / "gold"))
    (resctrl.path / "gold/tasks").unlink()
    failed = resctrl.create({"closID": "gold"})
    assert "no such file or directory (ENOENT) (the kernel says: mask f0f has non-consecutive 1-bits)" in failed.err


def test_update_writes_to_the_class(resctrl: Resctrl) -> None:
    resctrl.created({"l3CacheSchema": L3})
    assert resctrl.call("update", "--l3-cache-schema", "L3:0=1;1=1", "c").ok
    assert resctrl.text("c/schemata").startswith("L3:0=1;1=1\n")
    assert resctrl.call("update", "--mem-bw-schema", MB, "c").ok
    assert resctrl.text("c/schemata").startswith(f"{MB}\n")
    kept = json.loads((resctrl.box.root / "c" / "config.json").read_text())["linux"]["intelRdt"]
    assert kept == {"l3CacheSchema": "L3:0=1;1=1", "memBwSchema": MB}
    resctrl.delete()


def test_update_gives_a_class_to_a_container_without(resctrl: Resctrl) -> None:
    bundle: Bundle = resctrl.box.bundle().shell("sleep 1000")
    state = resctrl.box.started(bundle)
    assert resctrl.call("update", "--l3-cache-schema", L3, "c").ok
    assert resctrl.text("c/tasks") == f"{state['pid']}\n"
    resctrl.delete()
    assert resctrl.groups() == []


def test_where_there_is_no_resctrl(box: Box) -> None:
    bundle = box.bundle().shell("sleep 1000")
    for rdt in ({}, {"closID": "/"}, {"l3CacheSchema": L3}):
        bundle.linux["intelRdt"] = rdt
        failed = box.create(bundle, "c")
        assert "linux.intelRdt: Intel RDT: no resctrl filesystem is mounted" in failed.err
        assert box.left() == []
    del bundle.linux["intelRdt"]
    box.started(bundle)
    failed = box.call("update", "--l3-cache-schema", L3, "c")
    assert (failed.status, "Intel RDT/CAT: l3 cache schema is not enabled" in failed.err) == (1, True)
    failed = box.call("update", "--mem-bw-schema", MB, "c")
    assert (failed.status, "Intel RDT/MBA: memory bandwidth schema is not enabled" in failed.err) == (1, True)


def test_all_threads_of_a_process_go_over() -> None:
    """update's way: writing a process's id to tasks moves its first thread alone."""
    from pyoci.container.resctrl import threads

    ended = threading.Event()
    second = threading.Thread(target=ended.wait)
    second.start()
    try:
        assert second.native_id in threads([os.getpid()])
    finally:
        ended.set()
        second.join()
    assert threads([2**30]) == []


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("name", ["", "gold"])
def test_restored_container_is_in_its_class(resctrl: Resctrl, name: str) -> None:
    """Restored processes are children of CRIU's own, which joins the class before it begins."""
    rdt: "dict[str, Any]" = {"l3CacheSchema": L3, "enableMonitoring": True, **({"closID": name} if name else {})}
    devnull: "dict[str, Any]" = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    result = resctrl.create(rdt, "c", COUNTER, **devnull)
    assert result.ok, result
    resctrl.box.ok("start", "c")
    count = Path(resctrl.box.state()["bundle"], "rootfs", "tmp", "count")
    until(lambda: number(count) > 2)
    place = ["--image-path", str(resctrl.box.path / "images")]
    bundle = resctrl.box.state()["bundle"]
    assert resctrl.call("--criu", CRIU, "checkpoint", *place, "c").ok
    assert resctrl.groups() == ([name] if name else [])
    before = resctrl.text(f"{name}/tasks") if name else ""
    result = resctrl.call("--criu", CRIU, "restore", *place, "--bundle", bundle, "--detach", "c", **devnull)
    assert result.ok, result
    group = name or "c"
    assert resctrl.groups() == [group, f"{group}/mon_groups/c"]
    joined = resctrl.text(f"{group}/tasks")[len(before) :]
    assert joined == resctrl.text(f"{group}/mon_groups/c/tasks")
    assert len(joined.split()) == 1
    resctrl.delete()
    assert resctrl.groups() == ([name] if name else [])


def test_restore_without_its_class_is_refused(resctrl: Resctrl) -> None:
    bundle = resctrl.box.bundle()
    bundle.linux["intelRdt"] = {"closID": "nobody-made-it"}
    bundle.write()
    images = resctrl.box.path / "images"
    images.mkdir()
    failed = resctrl.call("restore", "--image-path", str(images), "--bundle", str(bundle.path), "--detach", "c")
    assert (failed.status, "linux.intelRdt.closID: clos dir not accessible" in failed.err) == (1, True), failed
    assert resctrl.box.left() == []

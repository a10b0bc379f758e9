"""What the suite reads and merges: mount tables, configurations, the probe's attempts, state and features."""

import pytest

from conformance.bundle import base_config, json_lines, merged
from conformance.schema import state_complaints, undefined_features
from conformance.seen import Seen, parse_mountinfo

MOUNTINFO = (
    "36 35 98:0 /mnt1 /mnt\\040two rw,noatime shared:1 master:7 - ext3 /dev/root rw,errors=continue\n"
    "37 36 0:5 / /dev rw,nosuid - tmpfs none rw,size=64k\n"
    "38 36 0:6 / /dev ro - tmpfs above rw\n"
)


def test_mountinfo() -> None:
    first, second, _ = parse_mountinfo(MOUNTINFO)
    assert (first.point, first.peers, first.kind, first.source) == (
        "/mnt two",
        ["shared:1", "master:7"],
        "ext3",
        "/dev/root",
    )
    assert first.options == {"rw", "noatime"}
    assert (second.peers, second.super_options) == ([], {"rw", "size=64k"})


def test_the_mount_on_top() -> None:
    mount = Seen(mountinfo=MOUNTINFO).mount("/dev")
    assert mount and mount.source == "above"
    assert Seen(mountinfo=MOUNTINFO).mount("/nowhere") is None


def test_attempts_are_found_by_verb_and_operand() -> None:
    seen = Seen(did=[{"verb": "read", "operand": "/a", "errno": 2}, {"verb": "read", "operand": "/b", "errno": 0}])
    assert seen.did("read")["errno"] == 2
    assert seen.did("read", "/b")["errno"] == 0
    with pytest.raises(KeyError):
        seen.did("read", "/c")


def test_merging() -> None:
    base = {"a": {"b": 1, "c": [1]}, "d": 2}
    result = merged(base, {"a": {"b": 3, "e": None}, "d": None})
    assert result == {"a": {"b": 3, "c": [1]}}
    result["a"]["c"].append(2)
    assert base["a"] == {"b": 1, "c": [1]}


def test_the_base_configuration_is_new_each_time() -> None:
    base_config()["process"]["args"].append("x")
    base_config()["mounts"][0]["type"] = "x"
    assert base_config()["process"]["args"] == ["/probe", "report"]
    assert base_config()["mounts"][0]["type"] == "proc"


def test_lines_that_are_no_json_are_left_out(tmp_path: "object") -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "log"
    assert json_lines(path) == []
    path.write_text('noise\n{"a": 1}\n{broken\n')
    assert json_lines(path) == [{"a": 1}]


GOOD = {"ociVersion": "1.0.2", "id": "x", "status": "running", "pid": 7, "bundle": "/b"}


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"ociVersion": None}, "ociVersion"),
        ({"pid": "7"}, "pid"),
        ({"pid": True}, "pid"),
        ({"pid": -1}, "pid"),
        ({"status": "exited"}, "status"),
        ({"annotations": {"a": 1}}, "annotation"),
    ],
)
def test_complaints_about_a_state(change: "dict[str, object]", about: str) -> None:
    assert state_complaints(GOOD) == []
    assert any(about in complaint for complaint in state_complaints({**GOOD, **change}))


def test_undefined_features() -> None:
    structure = {
        "ociVersionMin": "1.0.0",
        "linux": {"netDevices": {"enabled": True}, "color": 1},
        "annotations": {"x.y": "z"},
    }
    assert undefined_features(structure, "1.3.0") == ["linux.color"]
    assert undefined_features(structure, "1.2.0") == ["linux.netDevices", "linux.color"]
    assert undefined_features({"hooks": []}, "1.0.2-dev") == []

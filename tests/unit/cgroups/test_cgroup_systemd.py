"""The systemd driver's decisions: names, slices, properties, annotations. tests/vm talks to systemd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoci.cgroups import compile_files, devices
from pyoci.cgroups.systemd import gvariant, manager, properties
from pyoci.errors import Error


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ("system.slice", "runc-id.scope")),
        ("a-b.slice:pre:name", ("a-b.slice", "pre-name.scope")),
        (":pre:name", ("system.slice", "pre-name.scope")),
        ("a.slice::name", ("a.slice", "name.scope")),
        ("a.slice:pre:pod.slice", ("a.slice", "pod.slice")),
    ],
)
def test_units(path, expected):
    assert manager.names(path, "id", "system.slice") == expected


@pytest.mark.parametrize("path", ["/a/b", "a:b", "a:b:c:d", "s.slice:p:", "s.slice:p:../x", "s.slice:p/q:x"])
def test_paths_that_name_no_unit(path):
    with pytest.raises(Error) as caught:
        manager.names(path, "id", "system.slice")
    assert caught.value.location == "linux.cgroupsPath"


def test_slices_contain_their_parents():
    assert manager.expand("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    assert manager.expand("-.slice") == ""
    for wrong in ("a", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", ".slice"):
        with pytest.raises(Error, match="invalid slice name"):
            manager.expand(wrong)


def test_without_systemd_the_driver_is_refused(host):
    machine = host(2)
    machine.run = machine.root + "/nothing"
    with pytest.raises(Error, match="systemd not running on this host"):
        manager.compile_unit(machine, {}, "", "id", {}, compile_files)


def test_nobody_is_born_in_a_unit(host):
    unit = manager.Manager(host(2), "c.scope", "s.slice", False)
    assert (unit.birthplace(()), unit.tasks((), False)) == (-1, None)


def v2(resources, version=252):
    return dict(properties.for_v2(resources, "linux.resources", lambda: version))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": 4096}}, {"MemoryMax": ("t", 4096)}),
        (
            {"memory": {"limit": -1}},
            {"MemoryMax": ("t", 2**64 - 1), "MemorySwapMax": ("t", 2**64 - 1)},
        ),
        (
            {"memory": {"limit": 4096, "swap": 8192, "reservation": 1024}},
            {"MemoryMax": ("t", 4096), "MemorySwapMax": ("t", 4096), "MemoryLow": ("t", 1024)},
        ),
        ({"cpu": {"shares": 1024}}, {"CPUWeight": ("t", 100)}),
        ({"cpu": {"idle": 1}}, {"CPUWeight": ("t", 0)}),
        (
            {"cpu": {"quota": 20000, "period": 50000}},
            {"CPUQuotaPeriodUSec": ("t", 50000), "CPUQuotaPerSecUSec": ("t", 400000)},
        ),
        ({"cpu": {"quota": -1}}, {"CPUQuotaPerSecUSec": ("t", 2**64 - 1)}),
        ({"cpu": {"cpus": "0,9"}}, {"AllowedCPUs": ("ay", b"\x01\x02")}),
        ({"pids": {"limit": -1}}, {"TasksMax": ("t", 2**64 - 1)}),
        ({"pids": {"limit": 0}}, {"TasksMax": ("t", 1)}),
        ({"blockIO": {"weight": 1000}}, {"IOWeight": ("t", 10000)}),
        (
            {"unified": {"memory.high": "max", "cpu.weight": "7", "memory.oom.group": "1"}},
            {
                "MemoryHigh": ("t", 2**64 - 1),
                "CPUWeight": ("t", 7),
            },
        ),
        (
            {"unified": {"cpu.max": "10000 100000"}},
            {
                "CPUQuotaPeriodUSec": ("t", 100000),
                "CPUQuotaPerSecUSec": ("t", 100000),
            },
        ),
        ({}, {}),
    ],
)
def test_properties_of_v2(resources, expected):
    assert v2(resources) == expected


def test_old_systemd_is_not_asked_for_what_it_lacks():
    assert v2({"cpu": {"cpus": "0", "period": 50000, "quota": 1000}}, version=241) == {
        "CPUQuotaPerSecUSec": ("t", 20000)
    }


@given(st.integers(1, 10**7), st.integers(1000, 10**6))
def test_a_quota_is_never_rounded_down(quota, period):
    rounded = properties.quota_per_second(quota, period)
    assert rounded % 10_000 == 0
    assert 0 <= rounded - quota * 1_000_000 / period < 10_000


def test_properties_of_v1():
    resources = {"memory": {"limit": 4096}, "cpu": {"shares": 7}, "blockIO": {"weight": 9}, "pids": {"limit": 3}}
    assert dict(properties.for_v1(resources, "", lambda: 252)) == {
        "MemoryLimit": ("t", 4096),
        "CPUShares": ("t", 7),
        "BlockIOWeight": ("t", 9),
        "TasksMax": ("t", 3),
    }


def test_device_properties(tmp_path):
    (tmp_path / "devices").write_text("Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  7 loop\n")
    rules = devices.parse(
        {
            "devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "b", "major": 7, "access": "rw"},
                {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"},
            ]
        },
        "x",
    )
    found = dict(properties.for_devices([*rules, devices.Rule(True, "c", 136, -1, 7)], str(tmp_path)))
    assert found["DevicePolicy"] == ("s", "strict")
    assert found["DeviceAllow"] == ("a(ss)", [("block-loop", "rw"), ("/dev/char/10:229", "r"), ("char-pts", "rwm")])
    for wide in ([devices.Rule(True, "a", -1, -1, 7)], [devices.Rule(True, "c", -1, 5, 7)]):
        found = dict(properties.for_devices(wide, str(tmp_path)))
        assert found["DevicePolicy"] == ("s", "auto")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a b'", ("s", "a b")),
        ('"it\'s"', ("s", "it's")),
        (r"'a\n\u00e9\''", ("s", "a\né'")),
        ("5", ("i", 5)),
        ("-5", ("i", -5)),
        ("0x10", ("i", 16)),
        ("uint64 5", ("t", 5)),
        ("byte 0xff", ("y", 255)),
        ("1.5", ("d", 1.5)),
        ("double 2", ("d", 2.0)),
        ("true", ("b", True)),
        ("@as []", ("as", [])),
        ("['a', 'b']", ("as", ["a", "b"])),
        ("@at [1, 2]", ("at", [1, 2])),
        ("@ay [0x1, 0x2]", ("ay", b"\x01\x02")),
        ("('a', uint32 1)", ("(su)", ("a", 1))),
        ("[('a', 'b')]", ("a(ss)", [("a", "b")])),
        ("@a(st) [('a', 1)]", ("a(st)", [("a", 1)])),
        ("objectpath '/a'", ("o", "/a")),
        ("  7 ", ("i", 7)),
    ],
)
def test_values_of_annotations(text, value):
    assert gvariant.parse(text, "x") == value


@pytest.mark.parametrize(
    "text",
    ["", "'open", "5 6", "uint32 -1", "byte 256", "[]", "[1, 'a']", "[1 2]", "frob 5", "@as", "9999999999", "'a", "(1",
     "@(ss) ('a',)", "string 5", "boolean 'x'", "'\\uZZZZ'", "[" * 5000, "@u " * 5000 + "1", "(" * 200 + "1"],
)  # fmt: skip
def test_texts_that_are_no_value(text):
    with pytest.raises(Error, match="not a value in GVariant's text format"):
        gvariant.parse(text, "annotations[x]")


@given(st.text(max_size=30))
def test_no_text_brings_the_parser_down(text):
    try:
        gvariant.parse(text, "x")
    except Error:
        pass


ENDLESS = ("double inf", "double nan", "double 1e400", "double 1.9e13", "uint64 18446744073710")
FOREVER = [("StopSec", text) for text in ENDLESS]


def test_annotations():
    found = properties.from_annotations(
        {
            "org.systemd.property.TimeoutStopSec": "uint64 7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.JobTimeoutUSec": "uint64 8",
            "com.example": "x",
        }
    )
    assert dict(found) == {
        "TimeoutStopUSec": ("t", 7_000_000),
        "CollectMode": ("s", "inactive-or-failed"),
        "JobTimeoutUSec": ("t", 8),
    }
    names = (("X", "1"), ("Kill-Mode", "1"), ("KillMode", "x"), ("StopSec", "'a'"), ("StopSec", "-1"))
    for key, text in (*names, *FOREVER):
        with pytest.raises(Error) as caught:
            properties.from_annotations({f"org.systemd.property.{key}": text})
        assert caught.value.location == f"annotations[org.systemd.property.{key}]"


def test_versions():
    assert manager._version("252.39-1~deb12u1") == 252
    assert manager._version("v255") == 255

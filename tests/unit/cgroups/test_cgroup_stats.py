"""Statistics: the kernel's formats read, their shape, the table and the metrics made of them."""

import types

import pytest

from pyoci.cgroups import stats, stats_v1, stats_v2
from pyoci.cli import stats as command
from pyoci.cli.openmetrics import exposition
from pyoci.container.stats import Rates, Reading, read
from pyoci.errors import Error

PSI = "some avg10=1.50 avg60=0.00 avg300=0.25 total=500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(directory)


def v2(tmp_path):
    return stats_v2.collect(
        write(
            tmp_path / "c",
            {
                "cpu.stat": "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 5\nnr_throttled 4\nthrottled_usec 9\n"
                "nr_bursts 2\nburst_usec 8\n",
                "irq.pressure": "full avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
                "memory.high": "3000\n",
                "memory.events.local": "low 0\nhigh 0\nmax 6\noom 0\noom_kill 0\noom_group_kill 0\n",
                "memory.oom.group": "1\n",
                "memory.swap.peak": "77\n",
                "memory.swap.high": "max\n",
                "memory.swap.events": "high 0\nmax 0\nfail 5\n",
                "memory.zswap.current": "12\n",
                "memory.zswap.max": "64\n",
                "pids.peak": "8\n",
                "pids.events": "max 2\n",
                "misc.current": "sev 1\n",
                "misc.max": "sev max\n",
                "misc.peak": "sev 3\n",
                "misc.events": "sev.max 4\n",
                "cpu.pressure": PSI,
                "cpuset.cpus.effective": "0-1,4\n",
                "cpuset.mems.effective": "0\n",
                "memory.stat": "anon 100\nfile 200\nkernel 30\nsock 4\ninactive_file 50\n",
                "memory.current": "1000\n",
                "memory.max": "4096\n",
                "memory.peak": "2000\n",
                "memory.events": "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n",
                "memory.swap.current": "24\n",
                "memory.swap.max": "max\n",
                "pids.current": "3\n",
                "pids.max": "max\n",
                "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0 cost.usage=9\n8:16 \n",
                "hugetlb.2MB.current": "4\n",
                "hugetlb.2MB.events": "max 2\n",
                "hugetlb.2MB.rsvd.current": "9\n",
            },
        )
    )


def test_v2_in_the_shape_of_runcs_events(tmp_path):
    found = v2(tmp_path)
    assert found["cpu"]["usage"] == {"kernel": 1000, "user": 2000, "total": 3000}
    assert found["cpu"]["throttling"] == {"periods": 5, "throttledPeriods": 4, "throttledTime": 9000}
    assert found["cpu"]["psi"]["some"] == {"avg10": 1.5, "avg60": 0.0, "avg300": 0.25, "total": 500000}
    assert found["cpuset"] == {"cpus": [0, 1, 4], "mems": [0]}
    assert found["memory"]["usage"] == {"limit": 4096, "usage": 1000, "max": 2000, "failcnt": 6}
    assert found["memory"]["swap"]["usage"] == 1024  # memory and swap, as v1 counted
    assert found["memory"]["swap"]["limit"] == stats.UNLIMITED
    assert found["memory"]["cache"] == 200
    assert found["pids"] == {"current": 3, "peak": 8, "failcnt": 2}
    assert found["blkio"]["ioServiceBytesRecursive"][:2] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 10},
        {"major": 8, "minor": 0, "op": "Write", "value": 20},
    ]
    assert found["hugetlb"] == {"2MB": {"usage": 4, "failcnt": 2}}
    assert found["network_interfaces"] is None


def test_what_v2_counts_beyond_runcs_events(tmp_path):
    found = v2(tmp_path)
    assert found["cpu"]["burst"] == {"periods": 2, "time": 8000}
    assert found["irq"]["psi"]["full"]["total"] == 3
    memory = found["memory"]
    assert (memory["high"], memory["oom_group"]) == (3000, True)
    assert memory["swapOnly"] == {
        "limit": stats.UNLIMITED,
        "usage": 24,
        "max": 77,
        "high": stats.UNLIMITED,
        "failcnt": 5,
    }
    assert memory["zswap"] == {"limit": 64, "usage": 12}
    assert (memory["events"]["oom_kill"], memory["events_local"]["oom_kill"]) == (1, 0)  # it was below
    assert found["blkio"]["raw"] == {
        "8:0": {"rbytes": 10, "wbytes": 20, "rios": 1, "wios": 2, "dbytes": 0, "dios": 0, "cost.usage": 9},
        "8:16": {},
    }
    assert found["misc"] == {"sev": {"usage": 1, "limit": stats.UNLIMITED, "max": 3, "failcnt": 4}}


def test_an_older_kernel_has_fewer_files(tmp_path):
    """What is not counted is left out, and no section is there that says nothing."""
    old = {"cpu.stat": "usage_usec 3\n", "memory.stat": "file 2\n", "memory.current": "9\n"}
    old |= {"pids.current": "1\n", "pids.max": "max\n"}
    found = stats_v2.collect(write(tmp_path / "c", old))
    assert found["pids"] == {"current": 1}
    assert not {"high", "swapOnly", "zswap", "events", "events_local", "oom_group"} & set(found["memory"])
    assert not {"misc", "irq"} & set(found) and "burst" not in found["cpu"]
    assert "pyoci_memory_peak_bytes{" not in exposition([Reading("c", "running", found, 1.0)])


# What runc's types/events.go calls its fields: callers decode ours with them
OF_RUNC = {
    "cpu": {"usage", "throttling", "psi"},
    "cpuset": {"cpus", "mems"},
    "memory": {"cache", "usage", "swap", "kernel", "kernelTCP", "raw"},
    "pids": {"current"},
    "blkio": {"ioServiceBytesRecursive", "ioServicedRecursive"},
    "hugetlb": {"2MB"},
    "intel_rdt": set(),
    "network_interfaces": set(),
}


def test_no_field_of_runcs_is_missing(tmp_path):
    found = v2(tmp_path)
    assert set(OF_RUNC) <= set(found)
    assert [key for section, keys in OF_RUNC.items() for key in keys if key not in found[section]] == []
    assert all(set(found["memory"][key]) >= {"limit", "usage", "failcnt"} for key in ("usage", "swap", "kernel"))


def test_v1_in_the_shape_of_runcs_events(tmp_path):
    files = {
        "cpu": {"cpu.stat": "nr_periods 5\nnr_throttled 4\nthrottled_time 9\n"},
        "cpuacct": {
            "cpuacct.usage": "30\n",
            "cpuacct.usage_sys": "10\n",
            "cpuacct.usage_user": "20\n",
            "cpuacct.usage_all": "cpu user system\n0 15 4\n1 5 6\n",
            "cpuacct.usage_percpu": "19 11 \n",
        },
        "cpuset": {"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n", "cpuset.cpu_exclusive": "1\n"},
        "memory": {
            "memory.stat": "cache 7\nrss 9\ntotal_inactive_file 5\n",
            "memory.limit_in_bytes": "4096\n",
            "memory.usage_in_bytes": "1000\n",
            "memory.max_usage_in_bytes": "2000\n",
            "memory.failcnt": "3\n",
            "memory.memsw.usage_in_bytes": "1024\n",
        },
        "pids": {"pids.current": "3\n", "pids.max": "9\n"},
        "blkio": {
            "blkio.bfq.io_service_bytes_recursive": "",
            "blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Total 10\nTotal 10\n",
        },
        "": {"cpu.pressure": PSI},
    }
    found = stats_v1.collect({name: write(tmp_path / (name or "v2"), entries) for name, entries in files.items()})
    assert found["cpu"]["usage"]["percpu"] == [19, 11]
    assert found["cpu"]["usage"]["percpu_kernel"] == [4, 6]
    assert found["cpu"]["usage"]["percpu_user"] == [15, 5]
    assert found["cpu"]["throttling"]["throttledTime"] == 9
    assert found["cpu"]["psi"]["full"]["total"] == 7
    assert found["cpuset"]["cpus"] == [0, 1]
    assert found["cpuset"]["cpu_exclusive"] == 1
    assert found["memory"]["usage"] == {"limit": 4096, "usage": 1000, "max": 2000, "failcnt": 3}
    assert found["memory"]["swap"]["usage"] == 1024
    assert found["memory"]["cache"] == 7
    assert found["pids"] == {"current": 3, "limit": 9}
    assert {"major": 8, "minor": 0, "op": "Read", "value": 10} in found["blkio"]["ioServiceBytesRecursive"]


def test_a_cgroup_that_is_gone_counts_nothing(tmp_path):
    nothing = stats_v2.collect(str(tmp_path / "gone"))
    assert nothing["pids"] == {}
    assert nothing["memory"] == {}
    assert stats_v2.collect("") == stats.blank()


def readings(tmp_path):
    later = v2(tmp_path)
    later["cpu"]["usage"]["total"] = 2_000_003_000
    later["blkio"]["ioServiceBytesRecursive"][0]["value"] = 4106
    return (
        Reading('we"b', "running", v2(tmp_path), 10.0),
        Reading('we"b', "running", later, 14.0),
        Reading("old", "stopped", None, 14.0),
    )


def test_rates_between_two_readings(tmp_path):
    before, now, _ = readings(tmp_path)
    rates = Rates(before, now)
    assert (rates.cpu, rates.read, rates.write) == (50.0, 1024.0, 0.0)
    assert now.memory() == 950
    assert now.pressure("cpu") == 1.5
    assert now.pressure("memory") is None


def test_the_table(tmp_path):
    before, now, old = readings(tmp_path)
    header, line, stopped = command.table([now, old], {'we"b': Rates(before, now)}).splitlines()
    assert line.split() == ['we"b', "running", "50.0", "950B", "4.0KiB", "3", "1.0KiB", "0B", "1.5", "-", "-"]
    assert stopped.split() == ["old", "stopped", *["-"] * 9]
    assert header.index("STATUS") == line.index("running")


def test_the_metrics_are_what_a_collector_reads(tmp_path):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="prometheus_client is not installed")
    _, now, old = readings(tmp_path)
    families = {family.name: family for family in parser.text_string_to_metric_families(exposition([now, old]))}
    assert [(s.labels["id"], s.value) for s in families["pyoci_container_running"].samples] == [('we"b', 1), ("old", 0)]
    (sample,) = families["pyoci_cpu_seconds"].samples
    assert (sample.name, sample.value) == ("pyoci_cpu_seconds_total", 2.000003)
    assert families["pyoci_pressure_seconds"].samples[0].value == 0.5
    assert families["pyoci_memory_limit_bytes"].samples[0].value == 4096
    assert families["pyoci_memory_peak_bytes"].samples[0].value == 2000
    assert families["pyoci_swap_bytes"].samples[0].value == 24
    assert families["pyoci_processes_peak"].samples[0].value == 8
    assert families["pyoci_processes_limit"].samples == []
    assert {s.labels["event"]: s.value for s in families["pyoci_memory_events"].samples}["oom_kill"] == 1
    assert [s.value for s in families["pyoci_io_operations"].samples] == [1, 2, 0]
    assert (
        families["pyoci_cpu_periods"].samples[0].value,
        families["pyoci_cpu_throttled_periods"].samples[0].value,
    ) == (5, 4)
    assert {s.labels["resource"] for s in families["pyoci_pressure_seconds"].samples} == {"cpu", "irq"}


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1.5 * 2**30, "1.5GiB"), (2**41, "2.0TiB")]
)
def test_sizes_for_people(count, text):
    assert command.size(count) == text


def test_a_container_that_stops_between_two_calls_is_stopped():
    def refuse(name):
        raise Error("container with id x is not running", kind="not_running")

    runtime = types.SimpleNamespace(stats=refuse, state=lambda name: {"id": name, "status": "running"})
    (reading,) = read(runtime, ["x"], stopped=False)
    assert (reading.status, reading.stats) == ("stopped", None)


def test_a_container_without_statistics_is_not_called_stopped():
    """As one made with --cgroup-manager disabled: asked for by name it is an error."""

    def refuse(name):
        raise Error("the container was made without a cgroup", kind="state")

    state = {"id": "x", "status": "running"}
    runtime = types.SimpleNamespace(stats=refuse, state=lambda name: state, list=lambda: ([state], []))
    (reading,) = read(runtime, [], stopped=False)
    assert (reading.status, reading.stats) == ("running", None)
    with pytest.raises(Error, match="without a cgroup"):
        read(runtime, ["x"], stopped=False)

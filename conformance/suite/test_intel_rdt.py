"""config-linux.md, intelRdt: on a machine with a mounted resctrl; elsewhere only that its absence is an error."""

from pathlib import Path
from typing import Any

import pytest

from conformance import host
from conformance.case import Case
from conformance.container import Container


def config_with(case: Case, **rdt: Any) -> dict[str, Any]:
    return case.config(linux={"intelRdt": rdt})


def resctrl(case: Case) -> Path:
    points = host.resctrl()
    case.needs(points, "no resctrl filesystem is mounted")
    return points[0]


def whole_cache(point: Path) -> str:
    """An L3 line that changes nothing: what the root class has."""
    lines = (point / "schemata").read_text().splitlines()
    return next((line.strip() for line in lines if line.strip().startswith("L3:")), "")


def tasks(directory: Path) -> list[int]:
    path = directory / "tasks"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def prepared(case: Case, **rdt: Any) -> tuple[Path, Container]:
    point = resctrl(case)
    return point, case.created(config_with(case, **rdt))


def own_class(case: Case, point: Path) -> Path:
    directory = point / f"cf-{case.session.place.name}-{case.session.next_name()}"
    case.after(lambda: directory.rmdir() if directory.exists() else None)
    return directory


@pytest.mark.judges("linux.intel-rdt.no-resctrl-error")
def test_without_resctrl(case: Case) -> None:
    case.needs(not host.resctrl(), "a resctrl filesystem is mounted")
    for rdt in ({"closID": "a-class"}, {"l3CacheSchema": "L3:0=f"}, {"closID": "/"}):
        case.refused("linux.intel-rdt.no-resctrl-error", f"intelRdt {rdt} without resctrl", config_with(case, **rdt))


@pytest.mark.judges("linux.intel-rdt.id-class", "linux.intel-rdt.tasks", "linux.intel-rdt.own-class-removed")
def test_class_named_after_the_container(case: Case) -> None:
    line = whole_cache(resctrl(case))
    point, container = prepared(case, l3CacheSchema=line)
    directory = point / container.id
    case.judge("linux.intel-rdt.id-class", directory.is_dir(), f"the class {container.id}", sorted(point.iterdir()))
    case.judge(
        "linux.intel-rdt.tasks", container.pid in tasks(directory), "the process among its tasks", tasks(directory)
    )
    container.delete("--force")
    case.equal("linux.intel-rdt.own-class-removed", "the class is left after delete", False, directory.exists())


@pytest.mark.judges(
    "linux.intel-rdt.class-created",
    "linux.intel-rdt.schema-lines",
    "linux.intel-rdt.schemata",
    "linux.intel-rdt.foreign-class-kept",
    "linux.intel-rdt.mismatch-error",
)
def test_class_named_by_clos_id(case: Case) -> None:
    point = resctrl(case)
    directory = own_class(case, point)
    line = whole_cache(point)
    case.needs(line, "the hardware has no L3 allocation")
    container = case.created(config_with(case, closID=directory.name, l3CacheSchema=line))
    case.equal("linux.intel-rdt.class-created", "the class exists", True, directory.is_dir())
    case.equal("linux.intel-rdt.schema-lines", "its L3 line", line, whole_cache(directory))
    container.delete("--force")
    case.equal("linux.intel-rdt.foreign-class-kept", "the class after delete", True, directory.is_dir())
    other = case.created(config_with(case, closID=directory.name, l3CacheSchema=line, schemata=[line]))
    case.equal("linux.intel-rdt.schemata", "its L3 line", line, whole_cache(directory))
    other.delete("--force")
    different = "L3:" + ";".join(f"{part.split('=')[0]}=3" for part in line[3:].split(";"))
    mismatch = config_with(case, closID=directory.name, l3CacheSchema=different)
    case.refused("linux.intel-rdt.mismatch-error", f"{different} where {line} is", mismatch)


@pytest.mark.judges(
    "linux.intel-rdt.preconfigured", "linux.intel-rdt.no-schemata-untouched", "linux.intel-rdt.root-class"
)
def test_class_made_before(case: Case) -> None:
    point = resctrl(case)
    directory = own_class(case, point)
    case.refused(
        "linux.intel-rdt.preconfigured", "a class that does not exist", config_with(case, closID=directory.name)
    )
    directory.mkdir()
    before = (directory / "schemata").read_text()
    container = case.created(config_with(case, closID=directory.name))
    case.judge(
        "linux.intel-rdt.preconfigured", container.pid in tasks(directory), "the process in it", tasks(directory)
    )
    after = (directory / "schemata").read_text()
    case.equal("linux.intel-rdt.no-schemata-untouched", "schemata", before, after)
    root = case.created(config_with(case, closID="/"))
    case.judge("linux.intel-rdt.root-class", root.pid in tasks(point), "the process in the root class", "not there")


@pytest.mark.judges(
    "linux.intel-rdt.monitoring-group", "linux.intel-rdt.monitoring-removed", "linux.intel-rdt.unset-untouched"
)
def test_monitoring(case: Case) -> None:
    point = resctrl(case)
    before = sorted(str(path) for path in point.rglob("*") if path.is_dir())
    case.created(case.config())
    after = sorted(str(path) for path in point.rglob("*") if path.is_dir())
    case.equal("linux.intel-rdt.unset-untouched", "directories of resctrl", before, after)
    container = case.created(config_with(case, closID="/", enableMonitoring=True))
    group = point / "mon_groups" / container.id
    case.equal("linux.intel-rdt.monitoring-group", f"{group} exists", True, group.is_dir())
    container.delete("--force")
    case.equal("linux.intel-rdt.monitoring-removed", f"{group} exists after delete", False, group.exists())

"""docs/which-runtime.md: its figures are those of bench/results."""

import json
import re
from pathlib import Path

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs" / "which-runtime.md").read_text()
COLUMNS = {
    "pyoci": "pyoci",
    "runc 1.1.5": "runc",
    "crun 1.8.1": "crun",
    "runc 1.4.3": "runc-1.4.3",
    "crun 1.28": "crun-1.28",
}


def test_times_are_the_measured_ones() -> None:
    header, _, *rows = re.findall(r"^\|.*\|$", PAGE[PAGE.index("| wall time, median") :], re.MULTILINE)
    names = [COLUMNS[cell.strip()] for cell in header.strip("|").split("|")[1:]]
    for row in rows:
        what, *cells = row.strip("|").split("|")
        found = re.search(r"bench/results/([\w-]+)\.md", what)
        assert found, row
        figures = json.loads((TREE / "bench" / "results" / f"{found[1]}.json").read_text())["figures"]
        for name, cell in zip(names, cells, strict=True):
            number = cell.split()[0]
            decimals = len(number.partition(".")[2])
            assert number == f"{figures[f'{name} ms']:.{decimals}f}", f"{found[1]}, {name}"


def test_sandboxes_are_the_measured_ones() -> None:
    """Here and in docs/sandbox.md."""
    figures = json.loads((TREE / "bench" / "results" / "sandbox.json").read_text())["figures"]
    pages = [" ".join((TREE / "docs" / name).read_text().split()) for name in ("which-runtime.md", "sandbox.md")]
    assert all(f"{figures['the command of bubblewrap']:.1f} times" in page for page in pages)
    assert all(f"{figures['of bubblewrap']:.2f} of " in page for page in pages)
    for name in ("of bubblewrap as nsjail", "of docker run", "the command of docker run"):
        assert f"{figures[name]:.2f} of " in pages[1], name


def test_memory_is_the_measured_one() -> None:
    """The smallest limits, and what the density page has, word by word."""
    limits = dict(
        re.findall(r"^\| ([\w.-]+) \| (\d+) \|$", (TREE / "bench/results/memory-limit.md").read_text(), re.MULTILINE)
    )
    said = re.search(r"with (\S+) KiB of memory still starts `true`; crun's needs (\S+), runc's (\S+)\s", PAGE)
    assert said
    assert [number.replace(",", "") for number in said.groups()] == [limits[name] for name in ("pyoci", "crun", "runc")]
    density = (TREE / "bench/results/density.md").read_text()
    machines, containers = re.search(r"memory, MiB \| ([\d.]+) \| ([\d.]+)", density).groups()  # type: ignore[union-attr]
    assert f"took {float(machines):,.0f} MiB as\nmachines, {containers} MiB as containers" in PAGE


def test_conformance_is_the_judged_one() -> None:
    matrix = (TREE / "docs" / "conformance.md").read_text()
    for name, pattern in (
        ("pyoci", r"pyoci passes all (?P<passed>\d+)"),
        ("runc 1.4.3", r"runc 1\.4\.3 (?P<passed>\d+) of (?P<judged>\d+)"),
        ("crun 1.28", r"crun 1\.28 (?P<passed>\d+) of (?P<judged>\d+)"),
    ):
        row = re.search(
            rf"^\| {re.escape(name)}\S*(?: [\d.]+)? \| MUST \| \d+ \| (\d+) \| (\d+) \|", matrix, re.MULTILINE
        )
        said = re.search(pattern, PAGE)
        assert row and said, name
        passed, failed = map(int, row.groups())
        assert int(said["passed"]) == passed
        assert int(said.groupdict().get("judged") or passed) == passed + failed

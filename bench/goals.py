"""What pyoci is to reach, held against the figures of all benchmarks."""

import json
from pathlib import Path
from typing import Any, NamedTuple


class Goal(NamedTuple):
    """benchmark, figure: where the value stands; most: what it may be."""

    text: str
    benchmark: str
    figure: str
    most: float


GOALS = [
    Goal("`run true`: of runc's wall time", "run-true", "of runc", 0.50),
    Goal("`create` + `start` + `delete`: of runc's", "create-start-delete", "of runc", 0.85),
    Goal("`exec true`: of runc's", "exec-true", "of runc", 0.60),
    Goal("`state`: of runc's", "state", "of runc", 1.4),
    *(
        Goal(f"instructions of `{command}`: of the bare start", "instructions", command, 0.85)
        for command in ("state", "start", "kill", "delete")
    ),
    Goal("instructions of `create`: of the bare start", "instructions", "create", 1.10),
    Goal("in-process create + start + delete: of the floor", "in-process", "of floor", 2.0),
    Goal("in-process create + start + delete: of crun's commands", "in-process", "of crun", 1.0),
    Goal("`pyoci.run`: of bubblewrap's whole process", "sandbox", "of bubblewrap", 2.0),
    Goal("peak memory of any command: of runc's", "memory", "largest share of runc's", 1.0),
    Goal("containerd's plugin, `ctr run --rm true`: CPU, of runc's", "plugin", "ctr run --rm true: cpu", 0.30),
    Goal("the same: wall time", "plugin", "ctr run --rm true: wall", 0.70),
    Goal("`ctr task exec true`: CPU", "plugin", "ctr task exec true: cpu", 0.15),
    Goal("the same: wall time", "plugin", "ctr task exec true: wall", 0.60),
    Goal("ten probes a second: CPU", "plugin", "probes", 0.20),
    Goal("1 GiB of output: the shim's CPU", "plugin", "output", 0.02),
    Goal("50 containers that write lines: the shims' CPU", "plugin", "lines", 0.02),
    Goal("memory of a pod's shim", "plugin", "memory of a pod", 1.0),
    Goal("memory of 100 containers, one shim a namespace", "plugin", "memory of a crowd", 0.10),
    Goal("the 1000th container: of the first", "scale", "pyoci: last of first", 1.3),
    Goal("`list` of 1000, seconds", "scale", "pyoci: list, s", 0.3),
]


def overview(directory: Path) -> str:
    """The first page of the results: goals, the medians of whole commands, and links to what has been measured."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}
    head = ["# Results", "", "Made by `make bench` (docs/speed.md).", ""]
    return "\n".join([*head, *_goals(found), *_medians(found), *_pages(found)]) + "\n"


def _goals(found: "dict[str, Any]") -> list[str]:
    lines = ["| goal | at most | measured | |", "| --- | ---: | ---: | --- |"]
    for goal in GOALS:
        value = found.get(goal.benchmark, {}).get("figures", {}).get(goal.figure)
        if value is not None:
            met = "yes" if value <= goal.most else "**no**"
            lines.append(f"| [{goal.text}]({goal.benchmark}.md) | {goal.most:.2f} | {value:.2f} | {met} |")
    return [*lines, ""]


def _medians(found: "dict[str, Any]") -> list[str]:
    pages = {name: page for name, page in found.items() if "pyoci ms" in page["figures"]}
    known = {figure[: -len(" ms")] for page in pages.values() for figure in page["figures"] if figure.endswith(" ms")}
    names = ["pyoci", "runc", "crun", *sorted(name for name in known if name.startswith(("runc-", "crun-")))]
    lines = [f"| milliseconds (median) | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for name, page in pages.items():
        values = [page["figures"].get(f"{who} ms") for who in names]
        cells = ["" if value is None else f"{value:.1f}" for value in values]
        lines.append(f"| [{page['title']}]({name}.md) | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _pages(found: "dict[str, Any]") -> list[str]:
    lines = ["| page | date | load before | commit |", "| --- | --- | ---: | --- |"]
    for name, page in found.items():
        cells = [page["facts"].get(fact, "") for fact in ("date", "load before", "commit")]
        lines.append(f"| [{page['title']}]({name}.md) | " + " | ".join(cells) + " |")
    return lines

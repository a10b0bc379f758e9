"""Collects the verdicts of all workers and writes the table operation, engine, same or different or why not tested."""

import datetime
import os
import subprocess
from pathlib import Path
from typing import Optional

import compare
import pytest

_HEAD = """# What engines do with pyoci, compared with runc

`make test-callers` writes this table: each operation runs with runc first, then with pyoci, on private state, and exit
status, output and error are compared. *same*: as with runc. *cannot be tested here*: it does not work with runc on the
machine that wrote the table, for the reason given.

"""


def _first_line(words: list[str]) -> str:
    return subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")[0]


def _remove_podmans_cgroups() -> None:
    """podman leaves its parent of cgroups, whatever the runtime; in use by another podman it cannot be removed."""
    for pattern in ("*/libpod_parent/conmon", "*/libpod_parent"):
        for path in Path("/sys/fs/cgroup").glob(pattern):
            try:
                path.rmdir()
            except OSError:
                pass


class Collector:
    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.rows: dict[str, dict[str, list[str]]] = {}
        self.versions: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" or hasattr(self.config, "workerinput"):
            return
        for name, value in report.user_properties:
            if name == "engine":
                engine, versions, operation, verdict, reason = value
                self.rows.setdefault(engine, {})[operation] = [verdict, reason]
                if versions:
                    self.versions[engine] = versions

    def _summary(self) -> list[str]:
        lines = ["| engine | versions | same | different | cannot be tested here |", "|---|---|--:|--:|--:|"]
        for engine in sorted(self.rows):
            verdicts = [row[0] for row in self.rows[engine].values()]
            counts = [str(verdicts.count(word)) for word in ("same", "different", "cannot be tested here")]
            lines.append(f"| {engine} | {self.versions.get(engine, '')} | " + " | ".join(counts) + " |")
        return lines

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.rows:
            return
        terminalreporter.section("engines: pyoci compared with runc")
        for engine in sorted(self.rows):
            for operation, (verdict, reason) in sorted(self.rows[engine].items()):
                terminalreporter.write_line(
                    f"{engine:18} {verdict:22} {operation}" + (f" ({reason})" if reason else "")
                )
        terminalreporter.write_line("")
        for line in self._summary():
            terminalreporter.write_line(line)

    def pytest_sessionfinish(self) -> None:
        if hasattr(self.config, "workerinput"):
            return
        if self.rows:
            _remove_podmans_cgroups()
        path: Optional[str] = self.config.getoption("--engines-table")
        if path and self.rows:
            before = Path(path).read_text() if Path(path).exists() else ""
            Path(path).write_text(self.text(before))

    def text(self, before: str = "") -> str:
        """The page. before: what it was; engines that this session has not run stay in it, with their day."""
        head, *sections = before.split("\n## ")
        kept = {section.split("\n")[0]: section.rstrip("\n") for section in sections}
        counts = {line.split(" | ")[0][2:]: line for line in head.split("\n") if line.startswith("| ")}
        day = next((line for line in head.split("\n") if line.startswith("Written on")), "")
        made = dict(self._sections())
        summary = self._summary()
        rows = {line.split(" | ")[0][2:]: line for line in summary[2:]}
        for engine, section in kept.items():
            if engine not in made:
                rows[engine] = counts[engine]
                made[engine] = section if "Written on" in section else section.replace("\n", f"\n\n{day}\n", 1)
        lines = [*summary[:2], *(rows[engine] for engine in sorted(rows))]
        return _HEAD + "\n".join(lines) + "\n" + "".join(f"\n## {made[engine]}\n" for engine in sorted(made))

    def _sections(self) -> "list[tuple[str, str]]":
        distribution = Path("/etc/os-release").read_text().split('PRETTY_NAME="')[1].split('"')[0]
        day = (
            f"Written on {datetime.date.today()}, {distribution}, kernel {os.uname().release.partition('-')[0]}: "
            f"{_first_line([compare.REFERENCE, '--version'])}, {_first_line([compare.PYOCI, '--version'])}."
        )
        found = []
        for engine in sorted(self.rows):
            lines = [engine, "", day, "", "| operation | pyoci and runc | |", "|---|---|---|"]
            for operation, (verdict, reason) in sorted(self.rows[engine].items()):
                cell = reason.replace("|", "\\|").replace("\n", " ")
                lines.append(f"| {operation.replace('|', chr(92) + '|')} | {verdict} | {cell} |")
            found.append((engine, "\n".join(lines)))
        return found

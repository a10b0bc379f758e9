"""Makes docs/engines-table.md: what engines do with pyoci, a column for each generation of them, out of the pages that
`make test-callers` writes on each release of Debian (docs/engines/). Usage: engines_table.py [--print]."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
GENERATIONS = ("debian12", "debian13", "forky", "experimental")
HEAD = """# What engines do with pyoci, compared with runc

Each operation runs with runc first, then with pyoci, on private state; exit status, output and error are compared.
*same*: as with runc. *not here*: it does not work with runc on the machine that wrote the page, which gives the reason.
`make test-callers` writes the page of the Debian that it runs on, `tests/tools/engines_table.py` this one of them all.

"""


def cells(line: str) -> "list[str]":
    return [cell.strip() for cell in line.replace("\\|", "\0").strip().strip("|").split("|")]


class Page:
    """One generation: versions and counts by engine, verdicts by engine and operation, and where it was written."""

    def __init__(self, path: Path) -> None:
        self.engines: "dict[str, list[str]]" = {}
        self.verdicts: "dict[tuple[str, str], str]" = {}
        self.written: "list[str]" = []
        engine = ""
        for line in path.read_text().splitlines():
            row = cells(line) if line.startswith("| ") else []
            if line.startswith("Written on") and line not in self.written:
                self.written.append(line)
            elif line.startswith("## "):
                engine = line[3:]
            elif row and not engine and row[0] != "engine":
                self.engines[row[0]] = row[1:]
            elif row and engine and row[0] != "operation":
                self.verdicts[engine, row[0]] = {"cannot be tested here": "not here"}.get(row[1], row[1])


def text() -> str:
    files = {name: DOCS / "engines" / f"{name}.md" for name in GENERATIONS}
    pages = {name: Page(path) for name, path in files.items() if path.exists()}
    rule = "|---" * (len(pages) + 1) + "|"
    links = " | ".join(f"[{name}](engines/{name}.md)" for name in pages)
    lines = [f"Same / different / not here:\n\n| engine | {links} |", rule]
    for engine in sorted({engine for page in pages.values() for engine in page.engines}):
        found = [page.engines.get(engine, ["not run", "", "", ""]) for page in pages.values()]
        row = [f"{versions}: {' / '.join(counts)}" for versions, *counts in found]
        lines.append("| " + " | ".join([engine, *row]) + " |")
    lines += ["", *(f"* {name}: {line}" for name, page in pages.items() for line in page.written)]
    for engine in sorted({engine for page in pages.values() for engine, _ in page.verdicts}):
        lines += ["", f"## {engine}", "", f"| operation | {' | '.join(pages)} |", rule]
        names = {name: None for page in pages.values() for one, name in page.verdicts if one == engine}
        for name in sorted(names):
            found = [page.verdicts.get((engine, name), "") for page in pages.values()]
            lines.append("| " + " | ".join([name.replace("\0", "\\|"), *found]) + " |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(text())
    else:
        (DOCS / "engines-table.md").write_text(text())

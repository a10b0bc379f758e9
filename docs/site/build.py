"""Builds the site of the documentation: `python docs/site/build.py` (mkdocs and its theme are in requirements.txt).

The pages are copied to build/site/sources with the directories that they have here, and with each file that one of them
links to, so that links hold on the site as they do in the repository. A link that leads nowhere ends the build.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parents[1]
BUILD = TREE / "build" / "site"
PAGES = ("*.md", "docs/*.md", "docs/engines/*.md", "bench/results/*.md")
_LINK = re.compile(r"\]\(([^)#\s]+)")
_ITEM = re.compile(r"\s*([*-]|\d+\.) ")


def spaced(text: str) -> str:
    """A page with an empty line before each list and table: Markdown in Python wants it, CommonMark does not."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        fenced ^= line.startswith("```")
        begins = (_ITEM.match(line) and not _ITEM.match(before)) or (line[:1] == "|" and before[:1] != "|")
        if not fenced and begins and before.strip() and not before.startswith((" ", "\t")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def linked(page: Path) -> list[Path]:
    """The files that a page links to, but for other pages. Raises SystemExit for what is not there."""
    found = []
    for link in _LINK.findall(page.read_text()):
        if ":" in link:
            continue
        target = (page.parent / link).resolve()
        if not target.is_file() or not target.is_relative_to(TREE):
            raise SystemExit(f"{page.relative_to(TREE)}: nothing is at {link}")
        if target.suffix != ".md":
            found.append(target)
    return found


def stage(sources: Path) -> list[Path]:
    """Copies the pages and what they link to; returns the pages."""
    pages = sorted({page for pattern in PAGES for page in TREE.glob(pattern)})
    for page in pages:
        for file in linked(page):
            place = sources / file.relative_to(TREE)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        place = sources / page.relative_to(TREE)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(spaced(page.read_text()))
    for name in ("site.css", "favicon.svg"):
        shutil.copy(HERE / name, sources / name)
    return pages


def main() -> None:
    """Builds all of it anew."""
    shutil.rmtree(BUILD, ignore_errors=True)
    stage(BUILD / "sources")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(HERE / "mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement of the theme's
    done = subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    print(BUILD / "html" / "index.html")


if __name__ == "__main__":
    main()

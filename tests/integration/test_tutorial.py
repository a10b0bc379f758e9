"""docs/tutorial.md: every command is run, and prints what the page shows. The chapter with an engine: tests/callers."""

import os
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import PYOCI
from tests.support.tutorial import SETUP, Chapter, Command, chapters, commands, differences, played

CHAPTERS = chapters()
OURS = [chapter for chapter in CHAPTERS if not chapter.engine and chapter.title != SETUP]


def typed(box: Box, path: Path, chapter: Chapter) -> str:
    """Plays a chapter after the first one, with a network of our own; the differences."""
    (path / "bin").mkdir()
    (path / "bin" / "pyoci").write_text(f'#!/bin/sh\nexec {PYOCI} --root {box.root} "$@"\n')
    (path / "bin" / "pyoci").chmod(0o755)
    (path / "work").mkdir()
    words = [*CHAPTERS[0].commands, *chapter.commands]
    environment = {"PATH": f"{path}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(path)}
    return differences(words, played(words, path / "work", environment, ("unshare", "--net")))


@pytest.mark.root
@pytest.mark.parametrize("chapter", OURS, ids=[chapter.title for chapter in OURS])
def test_a_chapter(box: Box, tmp_path: Path, chapter: Chapter) -> None:
    different = typed(box, tmp_path, chapter)
    if different:
        pytest.fail(different, pytrace=False)
    assert box.left() == []


def test_the_page_is_read_whole() -> None:
    """A chapter without commands, or a block that is not found, would be a part of the page that nobody tries."""
    page = Path(__file__).parents[2].joinpath("docs", "tutorial.md").read_text()
    assert CHAPTERS[0].title == SETUP
    assert len(CHAPTERS) == page.count("\n## ")
    assert sum(len(chapter.commands) for chapter in CHAPTERS) == page.count("\n$ ")


def test_what_fits() -> None:
    shown = commands("$ a\none … three\n$ b \\\n> c\n")
    assert shown == [Command("a\n", "one … three\n"), Command("b \\\nc\n", "")]
    assert shown[0].fits("one 2 three\n") and not shown[0].fits("one three\n") and not shown[0].fits("one 2\n3 three\n")
    assert not shown[1].fits("words\n")
    assert "the page:\none … three\nprinted:\nother\n" in differences(shown, ["other\n", ""])

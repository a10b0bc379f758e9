"""docs/site: every page is in the site's list, and links between pages lead somewhere; `make docs` builds it."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
SITE = TREE / "docs" / "site"
_spec = importlib.util.spec_from_file_location("site_build", SITE / "build.py")
assert _spec and _spec.loader
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


def test_every_page_is_in_the_list(tmp_path: Path) -> None:
    pages = {str(page.relative_to(TREE)) for page in build.stage(tmp_path)}
    nav = (SITE / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r"\S+\.md$", nav, re.MULTILINE)
    assert sorted(listed) == sorted(pages)


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found = set()
    for heading in re.findall(
        r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"<[^>]*>", "", heading).strip().lower())
        found.add(words.replace(" ", "-"))
    return found


def test_anchors_are_there(tmp_path: Path) -> None:
    broken = []
    for page in build.stage(tmp_path):
        for link, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text()):
            if ":" not in link and anchor not in slugs(((page.parent / link) if link else page).read_text()):
                broken.append(f"{page.relative_to(TREE)}: {link}#{anchor}")
    assert broken == []


def test_a_broken_link_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text("see [there](nowhere.md) and [a site](https://example.org/x.md)\n")
    monkeypatch.setattr(build, "TREE", tmp_path)
    with pytest.raises(SystemExit, match=re.escape("page.md: nothing is at nowhere.md")):
        build.linked(tmp_path / "page.md")


def test_lists_and_tables_get_their_empty_line() -> None:
    text = "words\n* one\n* two\n  more\n\nwords\n| a |\n|---|\n```\nwords\n* no list\n```\n"
    assert build.spaced(text) == text.replace("words\n* one", "words\n\n* one").replace("words\n| a", "words\n\n| a")


def test_the_site_is_built() -> None:
    python = TREE / "build" / "site-venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("mkdocs is not there: `make docs` installs it")
    done = subprocess.run([python, SITE / "build.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    html = Path(done.stdout.strip()).read_text()
    assert "https://fonts." not in html
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://(?!github)', html), (
        "nothing is loaded from elsewhere"
    )

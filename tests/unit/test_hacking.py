"""docs/hacking.md names files, functions and tests that there are."""

import re
from pathlib import Path

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "hacking.md").read_text()


def test_the_files_that_it_names_are_there() -> None:
    named = {
        word.rstrip("/") for word in re.findall(r"`((?:pyoci|csrc|tests|conformance|schemas)/[\w/.-]*\w/?)`", PAGE)
    }
    assert len(named) > 40
    assert sorted(name for name in named if not (HOME / name).exists()) == []


def test_no_file_is_passed_twice_on_one_way() -> None:
    ways = PAGE.partition("## Four ways through the house")[2].partition("\n## ")[0].split("\n\n")[1:]
    assert len(ways) == 4
    for way in ways:
        files = re.findall(r"`((?:pyoci|csrc)/[\w/]+\.(?:py|c))`", way)
        assert len(files) == len(set(files)) >= 4, way
        if "memory.limit" in way:
            assert len(files) <= 6


def test_the_functions_of_init_that_it_names_are_there() -> None:
    sources = "".join(path.read_text() for path in (HOME / "csrc" / "init").glob("*.c"))
    names = re.findall(r"`(step_\w+)`", PAGE)
    assert names and [name for name in names if f" {name}(" not in sources] == []


def test_the_tests_that_it_tells_to_run_are_there() -> None:
    for line in re.findall(r"pytest -q ([^#\n]*)", PAGE):
        words = line.split()
        names = [word for word in words if word.startswith("tests/")]
        assert names and all((HOME / name).exists() for name in names), line
        if "-k" in words:
            assert words[words.index("-k") + 1] in (HOME / names[0]).read_text()

"""Names that people are told to install are those of packages that exist and are meant."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A package index knows another project by this name: from there, `pyoci[...]` would bring a stranger's program.
STRANGER = re.compile(r"\bpyoci\[|(?:pip|pipx) install (?:-\S+ )*pyoci(?![-\w])")


def _texts() -> "list[Path]":
    found = [path for part in ("pyoci", "docs", "man", "completions", "csrc") for path in (ROOT / part).rglob("*")]
    found += [ROOT / "README.md", ROOT / "setup.py", ROOT / "pyproject.toml"]
    return [path for path in found if path.suffix in (".py", ".md", ".8", ".c", ".h", ".toml", ".txt", ".bash")]


def test_nobody_is_sent_to_a_strangers_package() -> None:
    told = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if STRANGER.search(line)
    ]
    assert told == []


def test_the_search_finds_what_it_is_for() -> None:
    for text in ("pip install pyoci[systemd]", "pipx install --global pyoci", "pip install pyoci"):
        assert STRANGER.search(text)
    for text in ("pip install .", "pip install protobuf", "pip install /srv/pyoci.whl", "pip install pyoci-runtime"):
        assert not STRANGER.search(text)

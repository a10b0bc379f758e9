"""Writes the man pages, the completions and the docs' page of commands.

    python3 -m pyoci.cli.generate [DIR]

writes them below DIR (default: the working directory); a test compares them with what is committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyoci.cli import completion, pages


def files() -> dict[str, str]:
    """Every generated file: its path below the project's directory, and its text."""
    return {
        **{f"man/{name}": text for name, text in pages.man_pages().items()},
        "completions/pyoci.bash": completion.bash(),
        "completions/_pyoci": completion.zsh(),
        "completions/pyoci.fish": completion.fish(),
        "docs/commands.md": pages.markdown(),
    }


def main() -> None:
    """Writes the files."""
    home = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for name, text in files().items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()

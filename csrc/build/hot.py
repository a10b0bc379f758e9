"""The list of modules that hot commands load (start/hot.txt), the one place for it: the interpreter's program lays them
together, tests hold commands to it, and only these have the habits that a quick start asks for (docs/hacking.md).
"""

from .compiler import source

LIST = source("start/hot.txt")
MEASURED = "measured"


def sections(text: str | None = None) -> dict[str, dict[str, list[str]]]:
    """The list: heading to module to words behind it.

    Under [measured], written by tests/tools/hot.py, these are the commands that load the module; of one with a `+` only
    some do, such as those with an engine's config. Under other headings, kept by hand, there are none.
    """
    if text is None:
        with open(LIST, encoding="utf-8") as file:
            text = file.read()
    found: dict[str, dict[str, list[str]]] = {}
    heading = ""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if line.startswith("["):
            heading = line.strip("[] ")
            found[heading] = {}
        elif words:
            found[heading][words[0]] = words[1:]
    return found


def modules() -> list[str]:
    """All of them, in the list's order."""
    return [module for section in sections().values() for module in section]


def loaded_by(command: str) -> set[str]:
    """Those that a command loads of every config."""
    return {module for module, commands in sections()[MEASURED].items() if command in commands}

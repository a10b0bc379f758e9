"""The command help, and the help of every command, laid out for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyoci.cli import table, texts
from pyoci.cli.output import show
from pyoci.cli.version import version_text
from pyoci.errors import Error
from pyoci.spelling import suggestion

if TYPE_CHECKING:
    from pyoci.cli.call import Call


def main(call: Call) -> int:
    """Prints the help of the program, or of the command named."""
    if not call.arguments:
        show(of_program())
        return 0
    name = table.ALIASES.get(call.arguments[0], call.arguments[0])
    if name not in table.COMMANDS:
        raise unknown_command(call.arguments[0])
    show(of_command(name))
    return 0


def unknown_command(name: str) -> Error:
    """There is none of this name; perhaps another was meant."""
    return Error(f"No help topic for '{name}'", hint=suggestion(name, table.COMMANDS), kind="unknown_command")


def of_program() -> str:
    """The program's help: what it is, its commands, its global options."""
    commands = [(name, texts.COMMANDS[name][1]) for name in sorted(table.COMMANDS)]
    return "\n".join(
        [
            f"NAME:\n   {texts.PROGRAM} - {texts.SUMMARY}\n",
            f"{_indented(texts.ABOUT)}\n",
            f"USAGE:\n   {texts.PROGRAM} [global option...] COMMAND [option...] [argument...]\n",
            f"VERSION:\n{_indented(version_text())}\n",
            f"COMMANDS:\n{_columns(commands)}\n",
            f"GLOBAL OPTIONS:\n{_columns(options('', table.GLOBAL))}\n",
        ]
    )


def of_command(name: str) -> str:
    """One command's help."""
    usage, summary, description, _ = texts.COMMANDS[name]
    return "\n".join(
        [
            f"NAME:\n   {texts.PROGRAM} {name} - {summary}\n",
            f"USAGE:\n   {texts.PROGRAM} {name} {usage}".rstrip() + "\n",
            f"DESCRIPTION:\n{_indented(description)}\n",
            f"OPTIONS:\n{_columns(options(name, table.flags_of(name)))}\n",
            f"EXAMPLE:\n{_indented(texts.EXAMPLES[name])}\n",
        ]
    )


def options(command: str, flags: tuple[table.Flag, ...]) -> list[tuple[str, str]]:
    """Each flag as it is written, and its text."""
    rows = []
    for name, short, _ in flags:
        placeholder, text = texts.of_flag(command, name)
        value = f" {placeholder}" if placeholder else ""
        rows.append((f"--{name}{value}" + (f", -{short}{value}" if short else ""), text))
    return rows


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"   {left:<{width}}  {right}" for left, right in rows)


def _indented(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.rstrip("\n").split("\n"))

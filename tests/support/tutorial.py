"""docs/tutorial.md as a program: its chapters, their commands, and what each prints."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
SETUP = "Before you begin"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NEEDS = re.compile(r"^<!-- The commands of this chapter need (\w+)\. -->$", re.MULTILINE)


@dataclass
class Command:
    """A command of the page, and the lines below it."""

    text: str
    output: str

    def fits(self, output: str) -> bool:
        """Whether it printed what the page shows; an ellipsis stands for any text of a line."""
        pattern = ".*".join(re.escape(part) for part in self.output.split("…"))
        return re.fullmatch(pattern, output) is not None


@dataclass
class Chapter:
    """What stands below a heading; engine: the program that its commands need besides."""

    title: str
    engine: str
    commands: list[Command]


def commands(block: str) -> list[Command]:
    """The commands of a block: lines after "$ ", continued after "> "; the other lines are what they print."""
    found: list[Command] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
        elif line.startswith("> "):
            found[-1].text += line[2:]
        else:
            found[-1].output += line
    return found


def chapters(page: str = "") -> list[Chapter]:
    """The chapters that have commands, in order; the first one prepares for each of the others."""
    found = []
    for section in re.split(r"^## ", page or PAGE.read_text(), flags=re.MULTILINE)[1:]:
        needed = _NEEDS.search(section)
        shown = [command for block in _BLOCK.findall(section) for command in commands(block)]
        if shown:
            found.append(Chapter(section.splitlines()[0], needed[1] if needed else "", shown))
    return found


def played(
    commands: list[Command], directory: Path, environment: dict[str, str], prefix: tuple[str, ...] = ()
) -> list[str]:
    """Runs commands in one shell, as somebody types them; what each has printed."""
    mark = f"<{os.urandom(8).hex()}>"
    script = "exec 2>&1\n" + "".join(f"{command.text}\nset -- $?; echo '{mark}'; (exit $1)\n" for command in commands)
    (directory / "typed").write_text(script)
    words = [*prefix, "bash", str(directory / "typed")]
    done = subprocess.run(
        words,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
        timeout=300,
    )
    return done.stdout.decode().split(f"{mark}\n")[:-1]


def differences(commands: list[Command], outputs: list[str]) -> str:
    """Where what was printed is not what the page shows, in words; nothing when it is."""
    lines = [
        f"$ {command.text}the page:\n{command.output}printed:\n{output}"
        for command, output in zip(commands, outputs, strict=True)
        if not command.fits(output)
    ]
    return "\n".join(lines)

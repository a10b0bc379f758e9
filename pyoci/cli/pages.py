"""The man page and the docs' page of commands, made from the table of commands."""

from __future__ import annotations

from collections.abc import Sequence

import pyoci
from pyoci.cli import table, texts
from pyoci.cli.completion import names
from pyoci.cli.help import options


def _roff(text: str) -> str:
    """Text that troff prints as it is: backslashes and hyphens escaped, no line starting with a control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def _roff_options(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f".TP\n.B {_roff(left)}\n{_roff(right)}\n" for left, right in rows)


def _head(name: str, summary: str) -> str:
    """The first lines of every page."""
    note = '.\\" Made by pyoci.cli.generate from the table of commands: do not edit.\n'
    title = f'.TH {_roff(name.upper())} 8 "" "pyoci {pyoci.__version__}" "System administration"\n'
    return f"{note}{title}.SH NAME\n{_roff(name)} \\- {_roff(summary)}\n"


def _as_written(text: str) -> str:
    return f".nf\n{_roff(text)}\n.fi\n"


def man_pages() -> dict[str, str]:
    """A page for the program and one for each command, by their files' names."""
    pages = {"pyoci.8": man_page(), "containerd-shim-pyoci-v1.8": _shim_page()}
    return {**pages, **{f"pyoci-{name}.8": command_page(name) for name in names()}}


def man_page() -> str:
    """The page pyoci(8)."""
    rows = "".join(f".TP\n.BR pyoci\\-{name} (8)\n{_roff(texts.COMMANDS[name][1])}\n" for name in names())
    return "".join(
        [
            _head("pyoci", texts.SUMMARY),
            ".SH SYNOPSIS\n.B pyoci\n[global option...] command [option...] [argument...]\n",
            f".SH DESCRIPTION\n{_as_written(texts.ABOUT)}",
            f".SH COMMANDS\n{rows}",
            f".SH GLOBAL OPTIONS\n{_roff_options(options('', table.GLOBAL))}",
            _roff_end(),
            ".SH SEE ALSO\n.BR namespaces (7),\n.BR cgroups (7),\n.BR capabilities (7)\n",
        ]
    )


def command_page(name: str) -> str:
    """The page of a command: what its --help says."""
    usage, summary, description, _ = texts.COMMANDS[name]
    forms = [f"{name} {usage}".rstrip() for usage in usage.split(f"  |  {name} ")]
    return "".join(
        [
            _head(f"pyoci-{name}", summary),
            ".SH SYNOPSIS\n",
            ".br\n".join(f".B pyoci {_roff(form)}\n" for form in forms),
            f".SH DESCRIPTION\n{_roff(description)}\n",
            f".SH OPTIONS\n{_roff_options(options(name, table.flags_of(name)))}",
            f".SH EXAMPLE\n{_as_written(texts.EXAMPLES[name])}",
            ".SH SEE ALSO\n.BR pyoci (8)\nhas the global options, the exit statuses and the files.\n",
        ]
    )


def _shim_page() -> str:
    return "".join(
        [
            _head("containerd-shim-pyoci-v1", texts.SHIM_SUMMARY),
            ".SH SYNOPSIS\n.B containerd\\-shim\\-pyoci\\-v1\n[option...] start|delete\n",
            f".SH DESCRIPTION\n{_roff(texts.SHIM_ABOUT)}\n",
            f".SH EXAMPLE\n{_as_written(texts.SHIM_EXAMPLE)}",
            ".SH SEE ALSO\n.BR pyoci (8)\n",
        ]
    )


def _roff_end() -> str:
    rows = [("0", "done"), ("1", "it failed; standard error and the log say why")]
    rows += [("2", "validate: it could not judge"), ("3", "there is no such command")]
    rows += [("130", "interrupted from the keyboard"), ("141", "nobody reads any more what it prints")]
    rows.append(("255", "exec: the command could not be run"))
    rows.append(("other", "run and exec: the status of the container's process, or 128 and the signal that ended it"))
    variables = [("XDG_RUNTIME_DIR", "where states are kept without root: in its directory pyoci")]
    variables.append(("NOTIFY_SOCKET, LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID", "handed on to the container"))
    return (
        f".SH EXIT STATUS\n{_roff_options(rows)}.SH ENVIRONMENT\n{_roff_options(variables)}"
        ".SH FILES\n.TP\n.I /run/pyoci\nthe states of root's containers\n"
    )


_RULES = """# Commands

This page is made from the table of commands (`python3 -m pyoci.cli.generate`); `pyoci COMMAND --help` says the same.

## How a command line is read

As runc and other Go programs read theirs: `--flag value`, `--flag=value`, and one dash in the place of two. A flag
without a value may be given as `--flag=true` or `--flag=false`. Global options stand before the command. The options of
a command may follow its arguments, but for `exec` and `ps`, where the first argument ends them; `--` ends them in every
command.

## What is printed when something goes wrong

* Without `--log`: one line on standard error, `time="..." level=error msg="..."`.
* With `--log FILE`: the plain message on standard error, and one line in FILE; with `--log-format json` that line is
  the object `{"level":"error","msg":"...","time":"..."}`. FILE is appended to, and a command that fails writes nothing
  else to it without `--debug`.
* What had to be ignored (a capability that the kernel lacks, say) is a line of level `warning` of a command that did
  not fail: in FILE, without `--log` on standard error.
* With `--debug` each phase of a command (reading config.json, checking it, compiling the plan, starting the process …)
  is a line of level `debug`.
* A wrong command line also prints `Incorrect Usage` and the help on standard output.
* Messages of `create`, `run` and `exec` begin with `pyoci create failed: `, `pyoci run failed: `, `exec failed: `; when
  the container's process could not be set up or started, `unable to start container process: ` follows, and for what
  went wrong within the container's making `error during container init: `.
* Words that scripts know from runc 1.1 are in them, too, such as `error mounting "SOURCE" to rootfs at "PLACE"`, `wrong
  rlimit value: `, `malformed spec file: duplicated ns `, `chdir to cwd ("PLACE") set in config.json failed`; the place
  in config.json stands before them, the errno's name and the likely cure after them.

| exit status | when |
|---|---|
| 0 | done |
| 1 | it failed; `validate`: a document is not valid |
| 2 | `validate` could not judge: a file cannot be read, a flag is not understood |
| 3 | there is no such command |
| 130 | interrupted from the keyboard |
| 141 | nobody reads any more what it prints, as when `head` has seen enough |
| 255 | `exec` could not run the command |
| other | `run` and `exec`: the status of the process, or 128 and the signal that ended it |

## Promises

`state`, `list --format json`, `ps --format json`, `features` and the lines of `--version` are read by programs: names
in them are only ever added. The help texts and the words of messages may change, but for those that callers are known
to look for (they have tests).

"""


def markdown() -> str:
    """The page of the docs: how a command line is read, and every command with its options."""
    parts = [_RULES, "## Global options\n\n", _markdown_rows(options("", table.GLOBAL))]
    for name in names():
        usage, _, description, _ = texts.COMMANDS[name]
        parts.append(f"\n## {name}\n\n    pyoci {f'{name} {usage}'.rstrip()}\n\n{description}\n\n")
        parts.append(_markdown_rows(options(name, table.flags_of(name))))
        parts.append(f"\nExample:\n\n    {texts.EXAMPLES[name]}\n")
    return "".join(parts)


def _markdown_rows(rows: Sequence[tuple[str, str]]) -> str:
    cells = [(left.replace("|", "\\|"), right.replace("|", "\\|")) for left, right in rows]
    return "| option | |\n|---|---|\n" + "".join(f"| `{left}` | {right} |\n" for left, right in cells)

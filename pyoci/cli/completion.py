"""Completions for bash, zsh and fish, made from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyoci.checkpoint import request
from pyoci.cli import call, doctor, ps, shim, spec, stats, table, texts, validate
from pyoci.cli import list as list_

# What the shells offer after a flag: by the placeholder of its value.
_FILES = ("FILE", "SOCKET")
_DIRECTORIES = ("DIR",)
_CHOICES: dict[tuple[str, str], Iterable[str]] = {
    ("", "log-format"): call.LOG_FORMATS,
    ("", "cgroup-manager"): call.MANAGERS,
    ("", "rootless"): call.WHEN,
    ("list", "format"): list_.FORMATS,
    ("ps", "format"): ps.FORMATS,
    ("doctor", "format"): doctor.FORMATS,
    ("shim", "format"): shim.FORMATS,
    ("stats", "format"): stats.FORMATS,
    ("validate", "format"): validate.FORMATS,
    ("validate", "kind"): validate.KINDS,
    ("spec", "net"): spec.NETS,
    ("checkpoint", "manage-cgroups-mode"): request.CGROUP_MODES,
    ("restore", "manage-cgroups-mode"): request.CGROUP_MODES,
    ("checkpoint", "empty-ns"): request.EMPTY,
    ("restore", "empty-ns"): request.EMPTY,
}
_NAMES_A_CONTAINER = (
    "checkpoint delete events exec kill pause ps resume start state stats update"  # the ID of one that exists
)
_SIGNALS = "TERM KILL HUP INT QUIT USR1 USR2 STOP CONT WINCH"


def names() -> list[str]:
    """The commands in the order of the alphabet."""
    return sorted(table.COMMANDS)


# --- bash ------------------------------------------------------------------------------------------------------------


def _spellings(flags: Sequence[table.Flag]) -> list[str]:
    return [word for name, short, _ in flags for word in ([f"--{name}", f"-{short}"] if short else [f"--{name}"])]


def _valued(flags: Sequence[table.Flag]) -> list[table.Flag]:
    return [flag for flag in flags if flag[2] != table.BOOL]


def _bash_values(command: str, flags: Sequence[table.Flag]) -> list[str]:
    """A case branch for each flag with a value: what to offer after it."""
    branches = []
    for flag in _valued(flags):
        placeholder = texts.of_flag(command, flag[0])[0]
        if (command, flag[0]) in _CHOICES:
            words = " ".join(_CHOICES[command, flag[0]])
            offer = f'COMPREPLY=($(compgen -W "{words}" -- "$current"))'
        elif placeholder in _DIRECTORIES:
            offer = 'COMPREPLY=($(compgen -d -- "$current"))'
        elif placeholder in _FILES:
            offer = 'COMPREPLY=($(compgen -f -- "$current"))'
        else:
            offer = "COMPREPLY=()"
        patterns = "|".join(f"{command}:{word}" for word in _spellings([flag]))
        branches.append(f"    {patterns})")
        branches.append(f"      {offer}; return ;;")
    return branches


def bash() -> str:
    """Completion for bash."""
    valued = "|".join(_spellings(_valued(table.GLOBAL)))
    lines = [
        "# Completion of pyoci for bash. Made by pyoci.cli.generate from the table of commands: do not edit.",
        "_pyoci() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="" word index=1',
        "  COMPREPLY=()",
        "  while ((index < COMP_CWORD)); do",
        '    word="${COMP_WORDS[index]}"',
        '    case "$word" in',
        f"      {valued}) ((index++)) ;;",
        "      -*|=) ;;",
        '      *) command="$word"; break ;;',
        "    esac",
        "    ((index++))",
        "  done",
        '  case "$command:$previous" in',
        *_bash_values("", table.GLOBAL),
    ]
    for name in names():
        lines += _bash_values(name, table.flags_of(name))
    lines += ["  esac", '  case "$command" in', f'    "") word="{" ".join(_spellings(table.GLOBAL) + names())}" ;;']
    for name in names():
        lines.append(f'    {name}) word="{" ".join(_spellings(table.flags_of(name)))}" ;;')
    lines += [
        '    *) word="" ;;',
        "  esac",
        '  case "$command" in',
        f"    {_NAMES_A_CONTAINER.replace(' ', '|')})",
        '      [[ $current == -* ]] || word="$(pyoci list --quiet 2>/dev/null)" ;;',
        f'    help) [[ $current == -* ]] || word="{" ".join(names())}" ;;',
        "  esac",
        f'  [[ $command == kill && $COMP_CWORD -gt $((index + 1)) && $current != -* ]] && word="{_SIGNALS}"',
        '  COMPREPLY=($(compgen -W "$word" -- "$current"))',
        "}",
        "complete -o default -F _pyoci pyoci",
    ]
    return "\n".join(lines) + "\n"


# --- zsh -------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    """Text inside single quotes of a shell."""
    return text.replace("'", "'\\''")


def _zsh_flag(command: str, flag: table.Flag) -> str:
    name, short, kind = flag
    placeholder, text = texts.of_flag(command, name)
    words = _quoted(text).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = ""
    if kind != table.BOOL:
        if (command, name) in _CHOICES:
            action = f"({' '.join(_CHOICES[command, name])})"
        elif placeholder in _DIRECTORIES:
            action = "_directories"
        elif placeholder in _FILES:
            action = "_files"
        else:
            action = ""
        label = placeholder.lower().replace("[", "").replace("]", "").replace(":", " ")
        value = f":{label}:{action}"
    star = "*" if kind == table.LIST else ""
    long = f"--{name}{'=' if value else ''}"
    spelled = f"'{star}'{{{long},-{short}}}'" if short else f"'{star}{long}"
    return f"{spelled}[{words}]{value}'"


def zsh() -> str:
    """Completion for zsh."""
    lines = [
        "#compdef pyoci",
        "# Completion of pyoci for zsh. Made by pyoci.cli.generate from the table of commands: do not edit.",
        "_pyoci_containers() {",
        "  local -a containers",
        '  containers=(${(f)"$(pyoci list --quiet 2>/dev/null)"})',
        "  _describe container containers",
        "}",
        "_pyoci_commands() {",
        "  local -a commands",
        "  commands=(",
    ]
    lines += [f"    '{name}:{_quoted(texts.COMMANDS[name][1])}'" for name in names()]
    lines += ["  )", "  _describe command commands", "}", "_pyoci() {", "  local state line curcontext=$curcontext"]
    lines += ["  _arguments -C \\"]
    lines += [f"    {_zsh_flag('', flag)} \\" for flag in table.GLOBAL]
    lines += ["    '1:command:_pyoci_commands' '*::argument:->command'", "  [[ $state == command ]] || return"]
    lines.append("  case $line[1] in")
    for name in names():
        lines += [f"    {name})", "      _arguments \\"]
        lines += [f"        {_zsh_flag(name, flag)} \\" for flag in table.flags_of(name)]
        lines.append(f"        {_zsh_arguments(name)} ;;")
    lines += ["  esac", "}", '_pyoci "$@"']
    return "\n".join(lines) + "\n"


def _zsh_arguments(name: str) -> str:
    if name == "kill":
        return f"'1:container:_pyoci_containers' '2:signal:({_SIGNALS})'"
    if name == "exec":
        return "'1:container:_pyoci_containers' '*::command:_normal'"
    if name in ("sandbox", "spec"):
        return "'*::command:_normal'"
    if name == "stats":
        return "'*:container:_pyoci_containers'"
    if name == "help":
        return "'1:command:_pyoci_commands'"
    if name == "validate":
        return "'*:bundle or file:_files'"
    if name in _NAMES_A_CONTAINER.split():
        return "'1:container:_pyoci_containers'"
    return "'1:: :'"


# --- fish ------------------------------------------------------------------------------------------------------------


def _fish_flag(command: str, flag: table.Flag) -> str:
    name, short, kind = flag
    placeholder, text = texts.of_flag(command, name)
    where = f"__fish_seen_subcommand_from {command}" if command else "__fish_use_subcommand"
    letter = f" -s {short}" if short else ""
    value = ""
    if kind != table.BOOL:
        value = " -r"
        if (command, name) in _CHOICES:
            words = " ".join(_CHOICES[command, name])
            value = f" -x -a '{words}'"
        elif placeholder in _DIRECTORIES:
            value = " -x -a '(__fish_complete_directories)'"
        elif placeholder not in _FILES:
            value = " -x"
    described = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"complete -c pyoci -n '{where}' -l {name}{letter}{value} -d '{described}'"


def fish() -> str:
    """Completion for fish."""
    lines = [
        "# Completion of pyoci for fish. Made by pyoci.cli.generate from the table of commands: do not edit.",
        "complete -c pyoci -f",
        f"complete -c pyoci -n '__fish_seen_subcommand_from {_NAMES_A_CONTAINER}'"
        " -a '(pyoci list --quiet 2>/dev/null)'",
        f"complete -c pyoci -n '__fish_seen_subcommand_from kill' -a '{_SIGNALS}'",
        f"complete -c pyoci -n '__fish_seen_subcommand_from help' -a '{' '.join(names())}'",
        "complete -c pyoci -n '__fish_seen_subcommand_from validate' -F",
    ]
    lines += [_fish_flag("", flag) for flag in table.GLOBAL]
    for name in names():
        described = texts.COMMANDS[name][1].replace("'", "\\'")
        lines.append(f"complete -c pyoci -n __fish_use_subcommand -a {name} -d '{described}'")
        lines += [_fish_flag(name, flag) for flag in table.flags_of(name)]
    return "\n".join(lines) + "\n"

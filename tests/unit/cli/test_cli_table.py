"""One table of commands: what is parsed, what the help says, and the generated pages are the same."""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import pyoci
from pyoci.cli import generate, table, texts
from pyoci.cli.help import of_command, of_program, options
from pyoci.cli.parse import parse

HOME = Path(pyoci.__file__).parent.parent
OTHERS = {"validate", "stats", "events", "update"}

# Every flag of runc 1.5 that pyoci must take, by command.
RUNC = {
    "": "debug log log-format root systemd-cgroup rootless help h version v",
    "create": "bundle b console-socket pidfd-socket pid-file no-pivot no-new-keyring preserve-fds",
    "run": "bundle b console-socket pidfd-socket pid-file detach d keep no-subreaper no-pivot no-new-keyring"
    " preserve-fds",
    "start": "",
    "exec": "console-socket pidfd-socket cwd env e tty t user u additional-gids g process p detach d pid-file"
    " process-label apparmor no-new-privs cap c preserve-fds cgroup ignore-paused",
    "state": "",
    "kill": "all a",
    "delete": "force f",
    "list": "format f quiet q",
    "ps": "format f",
    "pause": "",
    "resume": "",
    "events": "interval stats",
    "update": "resources r blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime"
    " cpuset-cpus cpuset-mems kernel-memory kernel-memory-tcp memory memory-reservation memory-swap pids-limit"
    " l3-cache-schema mem-bw-schema cpu-idle",
    "checkpoint": "image-path work-path parent-path leave-running tcp-established tcp-skip-in-flight link-remap"
    " ext-unix-sk shell-job lazy-pages status-fd page-server file-locks pre-dump manage-cgroups-mode"
    " empty-ns auto-dedup",
    "restore": "console-socket image-path work-path tcp-established ext-unix-sk shell-job file-locks"
    " manage-cgroups-mode bundle b detach d pid-file no-subreaper no-pivot empty-ns auto-dedup lazy-pages"
    " lsm-profile lsm-mount-context",
    "spec": "bundle b rootless",
    "features": "",
}


def flags(command):
    return table.flags_of(command)


@pytest.mark.parametrize("command", sorted(RUNC))
def test_every_flag_of_runc_is_there(command):
    ours = {word for name, short, _ in flags(command) for word in (name, short) if word}
    assert set(RUNC[command].split()) - ours == set()


@pytest.mark.parametrize("command", ["", *sorted(table.COMMANDS)])
def test_every_flag_has_its_words_and_the_kind_they_tell_of(command):
    for name, _, kind in flags(command):
        placeholder, text = texts.of_flag(command, name)
        assert text and not text.endswith(".")
        assert bool(placeholder) == (kind != table.BOOL), f"{command} --{name}"


@pytest.mark.parametrize("command", ["", *sorted(table.COMMANDS)])
def test_no_flag_is_there_twice(command):
    words = [word for name, short, _ in flags(command) for word in (name, short) if word]
    assert len(words) == len(set(words))
    assert all(len(short) <= 1 for _, short, _ in flags(command))


def test_the_words_are_of_commands_and_flags_that_exist():
    assert set(texts.COMMANDS) == set(table.COMMANDS)
    assert set(texts.GLOBAL) == {name for name, _, _ in table.GLOBAL}
    for command, (_, _, _, own) in texts.COMMANDS.items():
        assert set(own) <= {name for name, _, _ in flags(command)}, command
    used = {name for command in table.COMMANDS for name, _, _ in flags(command)}
    assert set(texts.COMMON) <= used


@pytest.mark.parametrize("name", sorted(table.COMMANDS))
def test_every_command_leads_to_a_function(name):
    command = table.command(name)
    if name in OTHERS and importlib.util.find_spec("pyoci.cli." + command.module) is None:
        pytest.skip(f"pyoci/cli/{command.module}.py is not there yet")
    module = importlib.import_module("pyoci.cli." + command.module)
    assert callable(getattr(module, command.function))


def asked_for(module):
    """The flags that a module's code asks its call for."""
    found = set()
    for node in ast.walk(ast.parse((HOME / "pyoci" / "cli" / f"{module}.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            asks = node.func.attr in ("text", "yes", "number", "seconds", "texts", "path")
            if asks and getattr(node.func.value, "id", "") == "call" and isinstance(node.args[0], ast.Constant):
                found.add(node.args[0].value)
    return found


@pytest.mark.parametrize("module", sorted({row[0] for row in table.COMMANDS.values()}))
def test_no_module_asks_for_a_flag_that_its_commands_do_not_have(module):
    if not (HOME / "pyoci" / "cli" / f"{module}.py").exists():
        pytest.skip(f"pyoci/cli/{module}.py is not there yet")
    ours = {name for command, row in table.COMMANDS.items() if row[0] == module for name, _, _ in flags(command)}
    assert asked_for(module) - ours == set()


@pytest.mark.parametrize("name", sorted(table.COMMANDS))
@pytest.mark.parametrize("form", ["--help", "-h", "-help", "help"])
def test_help_of_every_command(cli, runtime, name, form):
    words = ["help", name] if form == "help" else [name, form]
    status, out, err = cli(*words)
    assert (status, err, runtime.made) == (0, "", [])
    assert out == of_command(name)
    for flag, short, _ in flags(name):
        assert f"--{flag}" in out
        assert not short or f", -{short}" in out


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"], ["h"], ["--debug", "-h"], ["--help", "create"]])
def test_help_of_the_program(cli, runtime, words):
    status, out, err = cli(*words)
    assert (status, err, runtime.made) == (0, "", [])
    assert out == of_program()
    for name in table.COMMANDS:
        assert f"\n   {name} " in out


def test_help_of_exec_is_not_taken_from_its_command(cli, runtime):
    assert cli("exec", "c1", "ls", "--help")[0] == 0
    assert [call for call in runtime.calls if call[0] == "exec"]


@pytest.mark.parametrize("name", sorted(generate.files()))
def test_the_generated_files_are_current(name):
    assert (HOME / name).read_text() == generate.files()[name], "run: python3 -m pyoci.cli.generate"


def complete(*words):
    """What bash offers for the last of the words."""
    line = " ".join(words)
    program = (
        f"pyoci() {{ echo c1; echo c2; }}\nsource {HOME}/completions/pyoci.bash\n"
        f"COMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n_pyoci\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pyoci", "sta"], ["start", "state", "stats"]),
        (["pyoci", "--root", "/x", "del"], ["delete"]),
        (["pyoci", "--log-form"], ["--log-format"]),
        (["pyoci", "--log-format", "j"], ["json"]),
        (["pyoci", "delete", "--f"], ["--force"]),
        (["pyoci", "delete", "c"], ["c1", "c2"]),
        (["pyoci", "create", "c"], []),
        (["pyoci", "kill", "c1", "KI"], ["KILL"]),
        (["pyoci", "list", "-f", "t"], ["table"]),
        (["pyoci", "exec", "--pre"], ["--preserve-fds"]),
        (["pyoci", "--debug", "help", "spe"], ["spec"]),
    ],
)
def test_bash_completes(words, offered):
    assert complete(*words) == offered


@pytest.mark.parametrize(("shell", "file"), [("bash", "pyoci.bash"), ("zsh", "_pyoci"), ("fish", "pyoci.fish")])
def test_the_shells_can_read_their_completions(shell, file):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(HOME / "completions" / file)], check=True)


def zsh_offers(tmp_path: Path, line: str) -> str:
    """What zsh's completion prints for a line and two tabs: its terminal is a pty of zsh's own."""
    script = f"""
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell 'PS1=; stty cols 300; setopt listpacked; LISTMAX=1000'
zpty -w shell 'fpath=({HOME}/completions $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump'
zpty -w shell 'pyoci() {{ print c1; print c2 }}'
zpty -w shell 'echo rea''dy'
zpty -r shell said '*ready*'
zpty -n -w shell $'{line}\\t\\t'
zpty -w shell $'\\C-u'
zpty -w shell 'echo en''ded'
zpty -r shell said '*ended*'
print -r -- $said
"""
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pyoci sta", ["start", "state", "stats"]),
        ("pyoci --log-f", ["--log-format="]),
        ("pyoci list --format=", ["table", "json"]),
        ("pyoci spec --net=", ["host", "none"]),
        ("pyoci delete ", ["c1", "c2"]),
        ("pyoci exec ", ["c1", "c2"]),
    ],
)
def test_zsh_completes(tmp_path, line, offered):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    said = zsh_offers(tmp_path, line)
    assert [word for word in offered if word not in said] == [], said


def pages():
    return sorted(path.name for path in (HOME / "man").glob("*.8"))


def test_every_command_has_its_page_and_no_other_is_there():
    commands = [f"pyoci-{name}.8" for name in table.COMMANDS]
    assert pages() == sorted(["pyoci.8", "containerd-shim-pyoci-v1.8", *commands])


@pytest.mark.parametrize("page", pages())
def test_man_shows_a_page_without_a_warning(page):
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "200", "TERM": "dumb"}
    words = ["man", "--warnings", "--nh", "--nj", "-E", "UTF-8", "-l", str(HOME / "man" / page)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    shown = re.sub(r"\s+", " ", done.stdout)
    assert page.removesuffix(".8").upper() + "(8)" in shown
    name = page.removeprefix("pyoci-").removesuffix(".8")
    if name in table.COMMANDS:
        said = [texts.COMMANDS[name][2], texts.EXAMPLES[name]]
        said += [word for row in options(name, flags(name)) for word in row]
        assert [text for text in said if " ".join(text.split()) not in shown] == []


@pytest.mark.parametrize("name", sorted(table.COMMANDS))
def test_help_ends_with_an_example_that_is_a_command_line(name):
    title, example = of_command(name).rstrip("\n").split("\n")[-2:]
    assert title == "EXAMPLE:" and example == f"   {texts.EXAMPLES[name]}"
    program, command, *words = shlex.split(example)
    assert (program, command) == ("pyoci", name)
    row = table.command(name)
    values, arguments = parse(words, row.flags, row.order)
    assert row.least <= len(arguments) and (row.most == -1 or len(arguments) <= row.most)
    assert "help" not in values


def test_no_command_is_without_an_example():
    assert set(texts.EXAMPLES) == set(table.COMMANDS)

"""What each command asks of the runtime and what it prints."""

import json
import os
import posix
import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import STATE

import pyoci
from pyoci.cli.kill import signal_number
from pyoci.errors import Error
from pyoci.options import check_id

HOME = Path(pyoci.__file__).parent.parent

GOOD_IDS = ["c1", "a", "A-b_c.d+e", "-x", ".a", "...", "x" * 255]
BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a b",
    "nl\n",
    "\n",
    "x\x00y",
    "к",
    "\uff11",
    "a\udc80",
    "x" * 256,
    "x" * 1025,
    "é",
]


@pytest.mark.parametrize("name", GOOD_IDS)
def test_an_id_is_taken_as_it_is(name):
    assert check_id(name) == name


@pytest.mark.parametrize("name", BAD_IDS)
def test_anything_else_is_no_id(name):
    with pytest.raises(Error, match="invalid container ID format"):
        check_id(name)


@pytest.mark.parametrize(
    "words",
    [
        ["create"],
        ["run"],
        ["start"],
        ["state"],
        ["kill"],
        ["delete"],
        ["delete", "--force"],
        ["pause"],
        ["resume"],
        ["ps"],
        ["exec", "-d"],
    ],
)
def test_every_command_refuses_a_bad_id_before_asking_anything(cli, runtime, words):
    rest = ["ls"] if words[0] == "exec" else []
    status, out, err = cli(*words, "../x", *rest)
    assert (status, out) == (255 if words[0] == "exec" else 1, "")
    assert "invalid container ID format" in err
    assert runtime.calls == []


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["start", "c1"], ("start", "c1", "")),
        (["state", "c1"], ("state", "c1")),
        (["pause", "c1"], ("pause", "c1")),
        (["resume", "c1"], ("resume", "c1")),
        (["delete", "c1"], ("delete", "c1", False)),
        (["delete", "--force", "c1"], ("delete", "c1", True)),
        (["delete", "c1", "-f"], ("delete", "c1", True)),
        (["kill", "c1"], ("kill", "c1", 15, False)),
        (["kill", "c1", "9"], ("kill", "c1", 9, False)),
        (["kill", "--all", "c1", "SIGKILL"], ("kill", "c1", 9, True)),
        (["kill", "-a", "c1", "usr1"], ("kill", "c1", 10, True)),
        (["kill", "c1", "0"], ("kill", "c1", 0, False)),
    ],
)
def test_the_runtime_is_asked(cli, runtime, words, call):
    status, _, err = cli(*words)
    assert (status, err) == (0, "")
    assert runtime.calls == [call]


def test_create_hands_on_everything_it_was_asked(cli, runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    status, out, err = cli(
        "create", "--bundle", "b", "--console-socket=s.sock", "--pidfd-socket", "/p/../q.sock", "--pid-file", "pid",
        "--no-pivot", "--no-new-keyring", "c1",
    )  # fmt: skip
    assert (status, out, err) == (0, "", "")
    ((name, identity, wanted),) = runtime.calls
    assert (name, identity) == ("create", "c1")
    assert wanted.bundle == f"{tmp_path}/b"
    assert wanted.console_socket == f"{tmp_path}/s.sock"
    assert wanted.pidfd_socket == "/q.sock"
    assert wanted.pid_file == f"{tmp_path}/pid"
    assert (wanted.no_pivot, wanted.no_new_keyring, wanted.detach) == (True, True, True)
    assert (wanted.preserve_fds, wanted.listen_fds, wanted.keep, wanted.no_subreaper) == (0, 0, False, False)


def test_run_waits_by_default_and_gives_the_status(cli, runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runtime.answers["run"] = 137
    assert cli("run", "c1")[0] == 137
    wanted = runtime.calls[0][2]
    assert (wanted.bundle, wanted.detach, wanted.keep) == (str(tmp_path), False, False)
    cli("run", "-d", "--keep", "--no-subreaper", "-b", "/", "c1")
    wanted = runtime.calls[1][2]
    assert (wanted.bundle, wanted.detach, wanted.keep, wanted.no_subreaper) == ("/", True, True, True)


def test_the_sockets_of_the_environment_are_handed_on(cli, runtime, environment):
    environment(NOTIFY_SOCKET="/run/notify", LISTEN_FDS="2", LISTEN_PID=str(posix.getpid()), LISTEN_FDNAMES="a:b")
    cli("create", "-b", "/", "c1")
    wanted = runtime.calls[0][2]
    assert (wanted.notify_socket, wanted.listen_fds, wanted.listen_fdnames) == ("/run/notify", 2, "a:b")


def test_start_passes_on_the_service_managers_socket(cli, runtime, environment):
    environment(NOTIFY_SOCKET="/run/notify")
    cli("start", "c1")
    assert runtime.calls == [("start", "c1", "/run/notify")]


@pytest.mark.parametrize(
    "variables",
    [
        {"LISTEN_FDS": "2"},
        {"LISTEN_FDS": "2", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "two", "LISTEN_PID": "own"},
        {"LISTEN_FDS": "", "LISTEN_PID": "own"},
        {"LISTEN_PID": "own"},
    ],
)
def test_descriptors_meant_for_another_process_are_not_taken(cli, runtime, environment, variables):
    environment(**{name: value.replace("own", str(posix.getpid())) for name, value in variables.items()})
    cli("create", "-b", "/", "c1")
    assert runtime.calls[0][2].listen_fds == 0


def test_descriptors_the_caller_did_not_open_are_refused(cli, runtime):
    status, _, err = cli("create", "--preserve-fds", "5000", "-b", "/", "c1")
    assert status == 1
    assert "unable to stat preserved-fd" in err
    assert "(of 5000)" in err
    assert runtime.calls == []


def test_the_log_file_is_never_taken_for_a_descriptor_of_the_caller(tmp_path):
    """With nothing open from 3 on, the log would get that number, and --preserve-fds 1 would hand it on."""
    program = (
        "import posix, sys\n"
        "posix.closerange(3, 100)\n"
        "from pyoci.cli import main\n"
        f"posix._exit(main(['--log', {str(tmp_path / 'log')!r}, 'create', '--preserve-fds', '1', 'c1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=HOME, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "unable to stat preserved-fd 3 (of 1)" in done.stderr


def test_state_is_laid_out_as_by_runc(cli):
    status, out, _ = cli("state", "c1")
    assert status == 0
    assert out == json.dumps(STATE, indent=2)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", 9), ("KILL", 9), ("kill", 9), ("SIGKILL", 9), ("sigKill", 9), ("TERM", 15), ("WINCH", 28), ("STKFLT", 16),
        ("CLD", 17), ("POLL", 29), ("RTMIN", 34), ("RTMIN+1", 35), ("sigrtmin+3", 37), ("RTMAX", 64), ("RTMAX-2", 62),
        ("64", 64), ("0", 0),
    ],
)  # fmt: skip
def test_signals_by_name_and_number(text, number):
    assert signal_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("FOO", "", "SIG", "_BLOCK", "SIG_BLOCK", "SIG_DFL", "SIG_IGN", "SIGSIGKILL", "65", "-9", "\uff19", "9\n"),
        *("+9", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+", "RTMINX", "KILL ", "\u017figkill", "1_0", "NSIG"),
    ],
)
def test_other_signals_are_unknown(cli, runtime, text):
    status, _, err = cli("--log", "/dev/null", "kill", "--", "c1", text)
    assert status == 1
    assert 'unknown signal "' in err
    assert runtime.calls == []


STATES = [
    {**STATE, "id": "c1"},
    {**STATE, "id": "a-rather-long-container-name", "pid": 0, "status": "stopped", "owner": "root"},
]


def test_list_table_has_runcs_columns(cli, runtime):
    runtime.answers["list"] = (STATES, [])
    assert cli("list")[1].splitlines() == [
        "ID                             PID         STATUS      BUNDLE        CREATED                         OWNER",
        "c1                             4242        running     /bundles/c1   2026-11-22T07:35:55.10233412Z   ",
        "a-rather-long-container-name   0           stopped     /bundles/c1   2026-11-22T07:35:55.10233412Z   root",
    ]


def test_an_empty_list_is_the_header_and_null(cli):
    assert cli("list")[1] == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    assert cli("list", "-f", "json")[1] == "null\n"
    assert cli("list", "-q")[1] == ""


def test_list_as_json_and_as_ids(cli, runtime):
    runtime.answers["list"] = (STATES, [])
    out = cli("list", "--format=json")[1]
    assert json.loads(out) == STATES
    assert out.count("\n") == 1
    assert cli("list", "--quiet")[1] == "c1\na-rather-long-container-name\n"


def test_list_names_broken_directories_and_goes_on(cli, runtime):
    runtime.answers["list"] = (STATES[:1], ["load container x: state.json is cut off"])
    status, out, err = cli("list", "-q")
    assert (status, out, err) == (0, "c1\n", "load container x: state.json is cut off\n")


@pytest.mark.parametrize("root", [[], ["--root", "/none"]])
def test_a_root_that_is_not_there_has_no_containers(cli, runtime, root):
    runtime.answers["list"] = FileNotFoundError(2, "No such file or directory")
    assert cli(*root, "list") == (0, "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n", "")
    assert cli(*root, "list", "-q") == (0, "", "")
    assert cli(*root, "list", "-f", "json") == (0, "null\n", "")
    status, out, err = cli(*root, "stats", "--once")
    assert (status, out.split()[:2], err) == (0, ["ID", "STATUS"], "")


@pytest.mark.parametrize("words", [["list", "-f", "xml"], ["ps", "-f", "xml", "c1"]])
def test_an_unknown_format_is_refused(cli, words):
    status, out, err = cli(*words)
    assert (status, out) == (1, "")
    assert "invalid format option" in err


def test_ps_as_json(cli, runtime):
    runtime.answers["ps"] = [16758, 16760]
    assert cli("ps", "--format", "json", "c1")[1] == "[16758,16760]\n"
    runtime.answers["ps"] = []
    assert cli("ps", "-f=json", "c1")[1] == "null\n"


def test_ps_shows_only_the_containers_processes(cli, runtime):
    runtime.answers["ps"] = [os.getpid()]
    status, out, _ = cli("ps", "c1")
    assert status == 0
    header, *lines = out.splitlines()
    assert header.split()[:2] == ["UID", "PID"]
    assert [line.split()[1] for line in lines] == [str(os.getpid())]
    out = cli("ps", "c1", "-o", "args,pid", "-p", f"1,{os.getpid()}")[1]
    assert len(out.splitlines()) == 2


def test_ps_needs_a_pid_column(cli):
    status, out, err = cli("ps", "c1", "-o", "args")
    assert (status, out) == (1, "")
    assert "couldn't find PID field in ps output" in err


def test_ps_says_what_the_hosts_ps_said(cli):
    status, _, err = cli("ps", "c1", "--no-such-option")
    assert status == 1
    assert "/ps ended with status 1:" in err


def test_plan_prints_lines_or_a_document(cli, runtime, tmp_path):
    assert cli("plan", "--bundle", "/")[1] == "1. mount proc\n2. pivot\n"
    assert json.loads(cli("plan", "--json", "-b", "/")[1]) == {"steps": []}
    assert [call[1].bundle for call in runtime.calls] == ["/", "/"]
    others = ["plan_exec", "plan_update", "plan_delete", "plan_restore"]
    runtime.answers |= dict.fromkeys(others, runtime.answers["plan"])
    runtime.calls.clear()
    limits = tmp_path / "limits"
    limits.write_text('{"pids": {"limit": 7}}')
    update = ("--update", "c1", "-r", str(limits))
    for words in (("--exec", "c1"), update, ("--delete", "c1"), ("--restore", "-b", "/", "--image-path", "/i")):
        assert cli("plan", *words)[1] == "1. mount proc\n2. pivot\n"
    assert [call[0] for call in runtime.calls] == ["config", *others]
    assert runtime.calls[2][2] == {"pids": {"limit": 7}}
    assert (runtime.calls[-1][1].bundle, runtime.calls[-1][2].images) == ("/", "/i")
    for wrong in (("--exec", "a", "--delete", "b"), ("--restore", "--update", "a")):
        assert "plans of their own" in cli("plan", *wrong)[2]
    for wrong in (("--process", "f"), ("--delete", "a", "--process", "f"), ("--exec", "a", "--resources", "f")):
        assert "belongs to" in cli("plan", *wrong)[2]
    assert "needs --resources" in cli("plan", "--update", "c1")[2]


@pytest.mark.parametrize("command", ["checkpoint", "restore"])
def test_checkpoint_and_restore_have_help(cli, runtime, command):
    """podman asks for it to find out whether a runtime can do it."""
    status, out, err = cli(command, "--help")
    assert (status, err, runtime.made) == (0, "", [])
    assert "--tcp-established" in out


def test_checkpoint_and_restore_hand_on_what_they_were_asked(cli, runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["tcp-established", "ext-unix-sk", "shell-job", "lazy-pages", "file-locks", "auto-dedup", "leave-running"]
    flags += ["tcp-skip-in-flight", "link-remap", "pre-dump"]
    words = [*(f"--{flag}" for flag in flags), "--manage-cgroups-mode", "full", "--empty-ns", "network"]
    words += ["--parent-path", "../old", "--status-fd", "5", "--page-server", "host:27", "--work-path", "w"]
    assert cli("--criu", "/opt/criu", "checkpoint", *words, "c1")[0] == 0
    options = runtime.calls[-1][-1]
    assert options.flags == set(flags)
    assert (options.images, options.work, options.criu) == (f"{tmp_path}/checkpoint", f"{tmp_path}/w", "/opt/criu")
    assert (options.manage_cgroups_mode, options.empty_ns, options.parent_path) == ("full", ["network"], "../old")
    assert (options.status_fd, options.page_server) == (5, "host:27")
    words = ["-b", "bundle", "-d", "--pid-file", "p", "--console-socket", "s", "--no-subreaper", "--no-pivot"]
    words += ["--lsm-profile", "apparmor:x", "--lsm-mount-context", "y", "--image-path", "i"]
    runtime.answers["restore"] = 3
    assert cli("restore", *words, "c1")[0] == 3
    wanted, options = runtime.calls[-1][-2:]
    assert (wanted.bundle, wanted.detach, wanted.pid_file) == (f"{tmp_path}/bundle", True, f"{tmp_path}/p")
    assert (wanted.console_socket, wanted.no_subreaper, wanted.no_pivot) == (f"{tmp_path}/s", True, True)
    assert (options.images, options.lsm_profile, options.lsm_mount_context) == (f"{tmp_path}/i", "apparmor:x", "y")


def test_podmans_probe_for_the_mount_context(cli):
    status, out, err = cli("restore", "--lsm-mount-context")
    assert status == 1
    assert out.startswith("Incorrect Usage: flag needs an argument: -lsm-mount-context\n")
    assert "flag needs an argument: -lsm-mount-context" in err

"""What a caller sees when something goes wrong: standard error, the log in both forms, the exit status."""

import json
import os
import re
import signal
from datetime import datetime

import pytest

from pyoci.cli import main
from pyoci.errors import Error
from pyoci.kinds import KINDS, exit_status

TEXT_LINE = re.compile(r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" level=error msg="(.*)"\n')


def test_without_a_log_the_line_has_runcs_form(cli, runtime):
    runtime.answers["state"] = Error("container does not exist")
    status, out, err = cli("state", "c1")
    assert (status, out) == (1, "")
    assert TEXT_LINE.fullmatch(err).group(1) == "container does not exist"


def test_with_a_log_standard_error_is_plain_and_the_log_has_the_line(cli, runtime, tmp_path):
    runtime.answers["state"] = Error("container does not exist")
    log = tmp_path / "log"
    status, out, err = cli("--log", log, "state", "c1")
    assert (status, out, err) == (1, "", "container does not exist\n")
    assert TEXT_LINE.fullmatch(log.read_text()).group(1) == "container does not exist"


def test_a_json_log_is_one_object_with_a_time_go_can_read(cli, runtime, tmp_path):
    runtime.answers["create"] = Error('it says "no"\nand more', location="root.path")
    log = tmp_path / "log.json"
    status, out, err = cli("--log", log, "--log-format", "json", "create", "c1")
    assert (status, out) == (1, "")
    assert err == 'pyoci create failed: root.path: it says "no"\\nand more\n'
    entry = json.loads(log.read_bytes())  # podman decodes the whole file as one object
    assert list(entry) == ["level", "msg", "time"]
    assert entry["level"] == "error"
    assert entry["msg"] + "\n" == err
    datetime.strptime(entry["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert log.read_bytes().endswith(b"}\n")


def test_the_log_is_appended_to_and_made_for_all_to_read(cli, runtime, tmp_path):
    runtime.answers["state"] = Error("gone")
    log = tmp_path / "log.json"
    mask = os.umask(0)
    try:
        cli("--log-format=json", f"--log={log}", "state", "c1")
    finally:
        os.umask(mask)
    cli("--log-format=json", f"--log={log}", "state", "c2")
    assert log.stat().st_mode & 0o777 == 0o644
    assert [json.loads(line)["msg"] for line in log.read_text().splitlines()] == ["gone", "gone"]


def test_nothing_else_is_written_to_the_log(cli, tmp_path):
    log = tmp_path / "log.json"
    assert cli("--log-format=json", "--log", log, "state", "c1")[0] == 0
    assert log.read_bytes() == b""


@pytest.mark.parametrize("debug", [True, False])
def test_a_warning_reaches_the_log_or_standard_error(cli, runtime, tmp_path, debug):
    runtime.warning = "unknown capability CAP_X ignored"
    log = tmp_path / "log.json"
    status, out, err = cli(*["--debug"] * debug, "--log-format=json", "--log", log, "create", "-b", "/", "c1")
    assert (status, out, err) == (0, "", "")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["level"], entry["msg"]) for entry in entries] == [("warning", runtime.warning)]
    status, out, err = cli(*["--debug"] * debug, "create", "-b", "/", "c1")
    assert (status, out, err.count("\n")) == (0, "", 1)
    assert f'level=warning msg="{runtime.warning}"' in err


def test_a_log_that_is_full_is_no_reason_to_fail(cli, runtime):
    runtime.warning = "unknown capability CAP_X ignored"
    assert cli("--log", "/dev/full", "create", "-b", "/", "c1") == (0, "", "")


def test_bytes_that_are_no_text_do_not_break_the_json_log(cli, tmp_path, runtime):
    runtime.answers["state"] = Error("no file \udcff\x1b[31m\x00 \ud800")
    log = tmp_path / "log.json"
    status, _, err = cli("--log-format=json", "--log", log, "state", "c1")
    assert status == 1
    assert json.loads(log.read_bytes())["level"] == "error"
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_an_unwritable_log_is_refused_before_anything_happens(cli, runtime, tmp_path):
    status, out, err = cli("--log", tmp_path / "none" / "log", "delete", "c1")
    assert (status, out) == (1, "")
    assert "none/log" in TEXT_LINE.fullmatch(err).group(1)
    assert runtime.calls == []


def test_an_unknown_log_format_is_refused(cli, runtime, tmp_path):
    status, out, err = cli("--log", tmp_path / "log", "--log-format", "xml", "state", "c1")
    assert (status, out) == (1, "")
    assert TEXT_LINE.fullmatch(err).group(1) == "invalid log-format: xml (it is one of text, json)"
    assert runtime.made == []


@pytest.mark.parametrize(
    ("words", "prefix", "status"),
    [
        (["create", "-b", "/", "c1"], "pyoci create failed: ", 1),
        (["run", "-b", "/", "c1"], "pyoci run failed: ", 1),
        (["exec", "c1", "ls"], "exec failed: ", 255),
        (["start", "c1"], "", 1),
        (["kill", "c1"], "", 1),
        (["delete", "c1"], "", 1),
        (["update", "c1"], "", 1),
    ],
)
def test_prefix_and_status_of_each_command(cli, runtime, words, prefix, status, monkeypatch):
    error = Error("container not running")
    for name in ("create", "run", "config", "start", "kill", "delete", "update"):
        runtime.answers[name] = error
    if words[0] == "update":
        pytest.importorskip("pyoci.cli.update", reason="pyoci/cli/update.py is not there yet")
        words = ["update", "--pids-limit", "5", "c1"]
    got, out, err = cli(*words)
    assert (got, out) == (status, "")
    assert TEXT_LINE.fullmatch(err).group(1) == prefix + "container not running"


def test_a_missing_program_has_the_words_engines_look_for(cli, runtime):
    text = 'exec: "nosuch": executable file not found in $PATH'
    runtime.answers["exec"] = Error(text, location="process.args[0]", kind="program")
    status, _, err = cli("exec", "-d", "c1", "nosuch")
    assert status == 255
    assert TEXT_LINE.fullmatch(err).group(1) == (
        "exec failed: unable to start container process: "
        'exec: \\"nosuch\\": executable file not found in $PATH (process.args[0])'
    )


def test_a_step_that_failed_is_told_with_its_place_errno_and_cure(cli, runtime, refusal, tmp_path):
    runtime.answers["create"] = refusal
    err = cli("--log", tmp_path / "log", "create", "-b", "/", "c1")[2]
    assert err.startswith(
        "pyoci create failed: unable to start container process: mounts[3] (/proc): mount proc: no such thing: "
    )
    assert "(EPERM)" in err
    assert err.endswith("(do this)\n")


@pytest.mark.parametrize("kind", KINDS)
def test_kind_and_command_decide_on_the_status(cli, runtime, kind):
    runtime.answers["exec"] = runtime.answers["run"] = Error("x", kind=kind)
    assert cli("exec", "-d", "c1", "ls")[0] == exit_status(kind, "exec")
    assert cli("run", "-b", "/", "c1")[0] == exit_status(kind)


def test_validate_tells_what_it_could_not_judge_from_what_is_invalid(cli):
    assert cli("validate", "--nosuch")[0] == cli("validate", "--format", "x")[0] == cli("validate", "/nosuch")[0] == 2


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (RecursionError("maximum recursion depth exceeded"), 1, "nested too deeply"),
        (FileNotFoundError(2, "No such file or directory", "/x/y"), 1, "/x/y: "),
        (OSError(28, "No space left on device"), 1, "ENOSPC"),
        (
            ZeroDivisionError("division by zero"),
            1,
            "internal error, please report: ZeroDivisionError: division by zero",
        ),
        (SystemExit(7), 1, "internal error, please report: SystemExit: 7"),
        (AssertionError(), 1, "internal error, please report: AssertionError"),
        (OSError("odd"), 1, "internal error, please report: OSError: odd"),
    ],
)
def test_no_exception_comes_out(cli, runtime, tmp_path, raised, status, words):
    runtime.answers["state"] = raised
    log = tmp_path / "log.json"
    got, out, err = cli("--log-format=json", "--log", log, "state", "c1")
    assert (got, out) == (status, "")
    assert words in err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert json.loads(log.read_bytes())["msg"] + "\n" == err


def test_a_bug_names_its_place_and_with_debug_its_traceback_in_the_log(cli, runtime, tmp_path):
    runtime.answers["ps"] = 5
    log = tmp_path / "log.json"
    err = cli("--log-format=json", "--debug", "--log", log, "ps", "-f", "table", "c1")[2]
    assert re.search(r"internal error, please report: TypeError: .* \(pyoci/cli/ps\.py:\d+\)\n", err)
    assert "Traceback" not in err
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["level"] for entry in entries] == ["debug", "error"]
    assert "Traceback" in entries[0]["msg"]
    err = cli("--debug", "ps", "c1")[2]
    assert "Traceback" not in err


def test_a_very_deep_recursion_is_told_in_one_line(cli, runtime, tmp_path):
    class Deep:
        def __str__(self):
            return str(self)

    runtime.answers["state"] = ValueError(Deep())
    status, _, err = cli("state", "c1")
    assert status == 1
    assert "Traceback" not in err


def test_closed_standard_streams_do_not_matter(runtime, tmp_path):
    """Exit statuses stay what they are; the log still gets its line."""
    log = tmp_path / "log"
    pid = os.fork()
    if not pid:
        for fd in (0, 1, 2):
            os.close(fd)
        runtime.answers["start"] = Error("container does not exist")
        os._exit(main(["--log", str(log), "start", "c1"]) if main(["start", "c1"]) == 1 else 99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert "container does not exist" in log.read_text()


SHOWING = ["state c1", "list", "ps -f json c1", "plan", "features", "--help", "--version", "create --help"]


@pytest.mark.parametrize("words", SHOWING)
def test_a_reader_that_went_away_ends_the_command_in_silence(runtime, tmp_path, words):
    """As SIGPIPE ends other programs, runc among them: `stats | head` is no failure to be told."""
    reading, writing = os.pipe()
    os.close(reading)
    pid = os.fork()
    if not pid:
        os.dup2(writing, 1)
        os.dup2(os.open(tmp_path / "err", os.O_WRONLY | os.O_CREAT), 2)
        os._exit(main(["--log", str(tmp_path / "log"), *words.split()]))
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGPIPE
    assert (tmp_path / "err").read_text() == ""
    assert not (tmp_path / "log").exists() or (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(
    ("words", "headline", "message"),
    [
        (["--foo"], "Incorrect Usage. flag provided but not defined: -foo", "flag provided but not defined: -foo"),
        (
            ["create", "--foo"],
            "Incorrect Usage: flag provided but not defined: -foo",
            "flag provided but not defined: -foo",
        ),
        (["create"], "Incorrect Usage.", 'pyoci: "create" requires exactly 1 argument(s)'),
        (["create", "a", "b"], "Incorrect Usage.", 'pyoci: "create" requires exactly 1 argument(s)'),
        (["exec"], "Incorrect Usage.", 'pyoci: "exec" requires a minimum of 1 argument(s)'),
        (["kill", "a", "9", "x"], "Incorrect Usage.", 'pyoci: "kill" requires a maximum of 2 argument(s)'),
        (["features", "x"], "Incorrect Usage.", 'pyoci: "features" requires exactly 0 argument(s)'),
        (["create", "x", "--preserve-fds"], "Incorrect Usage: flag needs an argument: -preserve-fds", "-preserve-fds"),
    ],
)
def test_usage_errors_show_the_help_on_standard_output(cli, runtime, words, headline, message):
    status, out, err = cli(*words)
    assert status == 1
    name = "pyoci" if words[0].startswith("-") else f"pyoci {words[0]}"
    assert out.startswith(f"{headline}\n\nNAME:\n   {name} - ")
    assert message in TEXT_LINE.fullmatch(err).group(1).replace('\\"', '"')
    assert runtime.made == []


def test_usage_errors_go_to_the_log_too(cli, tmp_path):
    log = tmp_path / "log.json"
    status, _, err = cli("--log", log, "--log-format=json", "create")
    assert (status, err) == (1, 'pyoci: "create" requires exactly 1 argument(s)\n')
    assert json.loads(log.read_bytes())["msg"] == 'pyoci: "create" requires exactly 1 argument(s)'


@pytest.mark.parametrize("words", [["foo"], ["help", "foo"]])
def test_an_unknown_command_is_3(cli, words):
    status, out, err = cli(*words)
    assert (status, out) == (3, "")
    assert TEXT_LINE.fullmatch(err).group(1) == "No help topic for 'foo'"


@pytest.mark.parametrize(
    ("words", "variables", "root"),
    [
        (["--root", "/a/../b/"], {}, "/b"),
        (["--root=/a//b/./c"], {"XDG_RUNTIME_DIR": "/run/user/0"}, "/a/b/c"),
        ([], {}, "/run/pyoci"),
    ],
)
def test_the_root(cli, runtime, environment, words, variables, root):
    environment(**variables)
    cli(*words, "state", "c1")
    assert runtime.made[0][0] == root


@pytest.mark.parametrize(
    ("uid", "mapped", "variables", "root"),
    [
        (0, False, {"XDG_RUNTIME_DIR": "/run/user/0"}, "/run/pyoci"),
        (0, False, {}, "/run/pyoci"),
        (1000, False, {"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/user/1000/pyoci"),
        (1000, False, {}, "/run/pyoci"),
        (0, True, {"XDG_RUNTIME_DIR": "/run/user/1000", "USER": "ann"}, "/run/user/1000/pyoci"),
        (0, True, {"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/user/1000/pyoci"),
        (0, True, {"XDG_RUNTIME_DIR": "/run/user/1000", "USER": "root"}, "/run/pyoci"),
    ],
)
def test_the_default_root(cli, runtime, environment, monkeypatch, uid, mapped, variables, root):
    from pyoci.cli import call

    monkeypatch.setattr("posix.geteuid", lambda: uid)
    monkeypatch.setattr(call, "in_user_namespace", lambda: mapped)
    environment(**variables)
    cli("state", "c1")
    assert runtime.made[0][0] == root


@pytest.mark.parametrize("command", ["create", "run"])
def test_a_users_default_root_is_kept_from_cleaners(cli, runtime, environment, monkeypatch, tmp_path, command):
    monkeypatch.setattr("posix.geteuid", lambda: 1000)
    environment(XDG_RUNTIME_DIR=str(tmp_path))
    cli("state", "c1")
    assert not (tmp_path / "pyoci").exists()
    assert cli(command, "-b", "/", "c1")[0] == 0
    assert (tmp_path / "pyoci").stat().st_mode & 0o7777 == 0o1700
    (tmp_path / "pyoci").chmod(0o711)
    assert cli(command, "-b", "/", "c2")[0] == 0
    assert (tmp_path / "pyoci").stat().st_mode & 0o7777 == 0o711


@pytest.mark.parametrize("root", ["/", "//", "/a/..", "/../"])
def test_the_root_directory_is_no_root(cli, runtime, root):
    status, out, err = cli("--root", root, "list")
    assert (status, out) == (1, "")
    assert "Option --root argument should not be set to /" in err
    assert runtime.made == []


@pytest.mark.parametrize(
    ("words", "manager", "rootless"),
    [
        ([], "cgroupfs", "auto"),
        (["--systemd-cgroup"], "systemd", "auto"),
        (["--systemd-cgroup=true"], "systemd", "auto"),
        (["--systemd-cgroup=false"], "cgroupfs", "auto"),
        (["--cgroup-manager", "disabled"], "disabled", "auto"),
        (["--cgroup-manager=systemd", "--rootless=true"], "systemd", "true"),
        (["--rootless", "false"], "cgroupfs", "false"),
        (["--rootless", "auto"], "cgroupfs", "auto"),
    ],
)
def test_global_settings_reach_the_runtime(cli, runtime, words, manager, rootless):
    assert cli(*words, "state", "c1")[0] == 0
    assert runtime.made[0][1:] == (manager, rootless)


@pytest.mark.parametrize("words", [["--cgroup-manager", "none"], ["--rootless", "maybe"], ["--rootless=2"]])
def test_unknown_global_settings_are_refused_and_logged(cli, runtime, words, tmp_path):
    log = tmp_path / "log"
    status, out, err = cli("--log", log, *words, "state", "c1")
    assert (status, out) == (1, "")
    assert runtime.made == []
    assert err.strip() in log.read_text().replace('\\"', '"')


def test_this_machines_namespace_is_told_from_its_map(tmp_path):
    from pyoci.cli.call import in_user_namespace

    initial = open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"]
    assert in_user_namespace() is not initial

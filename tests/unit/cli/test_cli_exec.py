"""The process document of exec, and what the runtime is asked with it."""

import copy
import json
import posix

import pytest
from cli_samples import PROCESS

from pyoci.json.document import MAX_BYTES


def asked(runtime):
    (call,) = [call for call in runtime.calls if call[0] == "exec"]
    return call[1:]


def test_the_containers_process_with_another_command(cli, runtime):
    before = copy.deepcopy(PROCESS)
    status, out, err = cli("exec", "-d", "c1", "ls", "-l", "--", "-x")
    assert (status, out, err) == (0, "", "")
    name, process, options = asked(runtime)
    assert name == "c1"
    assert process == {**PROCESS, "args": ["ls", "-l", "--", "-x"], "terminal": False}
    assert (options.detach, options.cgroup, options.ignore_paused) == (True, [], False)
    assert before == PROCESS, "the container's own document was changed"


def test_every_flag(cli, runtime):
    status, _, err = cli(
        "exec", "--cwd", "/tmp", "-e", "A=b", "--env=C=d=e", "--user", "1000:100", "-g", "4", "--additional-gids=5",
        "--process-label", "l", "--apparmor", "p", "--no-new-privs", "--cap", "CAP_NET_RAW", "-c", "CAP_KILL",
        "--cgroup", "sub", "--cgroup=memory,cpu:x", "--ignore-paused", "--pid-file", "/p", "--pidfd-socket", "/q",
        "c1", "id",
    )  # fmt: skip
    assert (status, err) == (0, "")
    _, process, options = asked(runtime)
    assert process["cwd"] == "/tmp"
    assert process["env"] == ["PATH=/bin", "A=b", "C=d=e"]
    assert process["user"] == {"uid": 1000, "gid": 100, "additionalGids": [7, 4, 5]}
    assert (process["selinuxLabel"], process["apparmorProfile"], process["noNewPrivileges"]) == ("l", "p", True)
    wider = ["CAP_KILL", "CAP_NET_RAW"]
    assert process["capabilities"] == {"bounding": wider, "effective": wider, "permitted": wider}
    assert options.cgroup == ["sub", "memory,cpu:x"]
    assert (options.ignore_paused, options.pid_file, options.pidfd_socket) == (True, "/p", "/q")
    assert options.detach is False


def test_a_user_without_a_group_keeps_the_containers_group(cli, runtime):
    cli("exec", "-u", "1000", "c1", "id")
    assert asked(runtime)[1]["user"] == {"uid": 1000, "gid": 6, "additionalGids": [7]}


def test_no_new_privs_can_be_taken_back(cli, runtime):
    runtime.answers["config"] = {"process": {**PROCESS, "noNewPrivileges": True}}
    cli("exec", "--no-new-privs=false", "c1", "id")
    assert asked(runtime)[1]["noNewPrivileges"] is False


def test_an_added_capability_is_ambient_only_where_it_was_inheritable(cli, runtime):
    sets = {"bounding": ["CAP_KILL"], "inheritable": ["CAP_CHOWN"], "permitted": None}
    runtime.answers["config"] = {"process": {**PROCESS, "capabilities": sets}}
    before = copy.deepcopy(sets)
    cli("exec", "-c", "CAP_CHOWN", "-c", "CAP_FOWNER", "c1", "id")
    assert sets == before, "the container's own sets were changed"
    assert asked(runtime)[1]["capabilities"] == {
        "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"],
        "inheritable": ["CAP_CHOWN"],
        "permitted": ["CAP_CHOWN", "CAP_FOWNER"],
        "effective": ["CAP_CHOWN", "CAP_FOWNER"],
        "ambient": ["CAP_CHOWN"],
    }


def test_a_capability_for_a_process_without_any(cli, runtime):
    runtime.answers["config"] = {"process": {"cwd": "/"}}
    cli("exec", "-c", "CAP_CHOWN", "c1", "id")
    given = ["CAP_CHOWN"]
    assert asked(runtime)[1]["capabilities"] == {"bounding": given, "effective": given, "permitted": given}


NOT_IDS = [
    "", " 1", "1 ", "1\n", "+1", "-1", "1_0", "0x1", "1e0", "1.0", "\uff11", "\u0663", "4294967295", "4294967296",
    str(2**63), str(2**64), "root", "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize(
    "text", [*NOT_IDS, *(f"{text}:0" for text in NOT_IDS), *(f"0:{text}" for text in NOT_IDS), "1:2:3", ":1"]
)
def test_a_user_is_numbers_only(cli, runtime, text):
    status, out, err = cli("exec", "--user", text, "c1", "id")
    assert (status, out) == (255, "")
    assert "bad uid" in err or "bad gid" in err
    assert [call[0] for call in runtime.calls] == ["config"]


@pytest.mark.parametrize("text", NOT_IDS)
def test_a_group_is_a_number(cli, runtime, text):
    status, _, err = cli("exec", f"-g={text}", "c1", "id")
    assert status == 255
    assert "bad additional gid" in err
    assert [call[0] for call in runtime.calls] == ["config"]


@pytest.mark.parametrize("text", ["0", "1", "0:0", "4294967294:4294967294"])
def test_the_ids_there_are(cli, runtime, text):
    assert cli("exec", "-u", text, "c1", "id")[0] == 0
    assert asked(runtime)[1]["user"]["uid"] == int(text.split(":")[0])


def test_a_process_file_is_taken_as_it_is(cli, runtime, tmp_path):
    file = tmp_path / "process.json"
    document = {"args": ["echo", "ok"], "cwd": "/", "env": ["A=b"], "terminal": False, "x": [1, {"y": None}]}
    file.write_text(json.dumps(document))
    status, _, err = cli("exec", "--process", file, "--detach", "--pid-file", "/p", "c1")
    assert (status, err) == (0, "")
    assert asked(runtime)[1] == document
    assert [call[0] for call in runtime.calls] == ["exec"], "the container's config is not needed"


def test_the_terminal_of_a_process_file_counts_not_the_flag(cli, runtime, tmp_path):
    """podman passes --tty beside --process."""
    file = tmp_path / "process.json"
    file.write_text('{"args": ["sh"], "cwd": "/", "terminal": true}')
    assert cli("exec", "--process", file, "--detach", "--console-socket", "/s", "c1")[0] == 0
    assert asked(runtime)[1]["terminal"] is True
    file.write_text('{"args": ["sh"], "cwd": "/"}')
    runtime.calls.clear()
    assert cli("exec", "--process", file, "--tty", "--detach", "c1")[0] == 0
    assert not asked(runtime)[1].get("terminal")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "process.json"),
        ("", "process.json"),
        ("{", "process.json"),
        ("[]", "must be an object"),
        ("3", "must be an object"),
        ('{"args": ["a"], "args": ["b"], "cwd": "/"}', "process.json"),
        ('{"cwd": "/"}', "process.args: args must not be empty"),
        ('{"cwd": "/", "args": []}', "process.args: args must not be empty"),
        ('{"cwd": "/", "args": [1]}', "process.args: every argument must be a string"),
        ('{"args": ["a"]}', "process.cwd: Cwd property must not be empty"),
        ('{"args": ["a"], "cwd": "tmp"}', "process.cwd: Cwd must be an absolute path"),
        (
            '{"args": ["a"], "cwd": "/", "env": ["A=b", "C"]}',
            "process.env[1]: invalid environment variable: ",
        ),
        ('{"args": ["a"], "cwd": "/", "env": ["=b"]}', "environment variable name can't be empty"),
    ],
)
def test_a_wrong_process_file_is_refused(cli, runtime, tmp_path, content, words):
    file = tmp_path / "process.json"
    if content is not None:
        file.write_text(content)
    status, out, err = cli("exec", "--process", file, "c1")
    assert (status, out) == (255, "")
    assert words in err
    assert runtime.calls == []


def test_an_endless_process_file_is_refused_before_it_fills_the_memory(cli, runtime, monkeypatch):
    sizes = []
    read = posix.read
    monkeypatch.setattr(posix, "read", lambda fd, size: sizes.append(size) or read(fd, size))
    status, _, err = cli("exec", "--process", "/dev/zero", "c1")
    assert status == 255
    assert "more than" in err
    assert sum(sizes) <= 2 * MAX_BYTES


@pytest.mark.parametrize(
    ("flag", "words"), [("--cwd=tmp", "absolute path"), ("--env=A", "missing '='"), ("-e=", "missing '='")]
)
def test_wrong_values_are_refused(cli, runtime, flag, words):
    status, _, err = cli("exec", flag, "c1", "id")
    assert status == 255
    assert words in err
    assert [call[0] for call in runtime.calls] == ["config"]


def test_a_command_is_needed_but_the_container_comes_first(cli, runtime):
    from pyoci.errors import Error

    assert "process args cannot be empty" in cli("exec", "c1")[2]
    runtime.answers["state"] = Error("container does not exist")
    status, _, err = cli("exec", "c1")
    assert status == 255
    assert "exec failed: container does not exist" in err


@pytest.mark.parametrize("words", [["-t"], ["-t", "-d", "--console-socket", "/s"], []])
def test_the_terminal_and_who_takes_it_are_handed_on(cli, runtime, words):
    """Whether they fit is for the operation to say: tests/integration/test_exec.py."""
    assert cli("exec", *words, "c1", "sh")[0] == 0
    _, process, options = asked(runtime)
    assert process["terminal"] is ("-t" in words)
    assert (options.detach, options.console_socket) == ("-d" in words, "/s" if "-d" in words else "")

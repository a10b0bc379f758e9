"""The Go habits of the command line, as recorded from real callers and read in runc's usage errors."""

import pytest

from pyoci.cli.duration import seconds
from pyoci.cli.parse import Usage, decimal, parse
from pyoci.cli.table import BOOL, DURATION, FIRST, LIST, MIXED, NUMBER, TEXT, command

FLAGS = (
    ("bundle", "b", TEXT),
    ("detach", "d", BOOL),
    ("env", "e", LIST),
    ("preserve-fds", "", NUMBER),
    ("interval", "", DURATION),
)


@pytest.mark.parametrize(
    ("words", "values", "arguments"),
    [
        ([], {}, []),
        (["--bundle", "/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["--bundle=/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["-bundle", "/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["-bundle=/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["-b", "/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["--b", "/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["-b=", "c1"], {"bundle": ""}, ["c1"]),
        (["-b=x=y", "c1"], {"bundle": "x=y"}, ["c1"]),
        (["-d", "c1"], {"detach": True}, ["c1"]),
        (["--detach=true", "c1"], {"detach": True}, ["c1"]),
        (["--detach=0", "c1"], {"detach": False}, ["c1"]),
        (["--detach", "--detach", "c1"], {"detach": True}, ["c1"]),
        (["--detach", "false"], {"detach": True}, ["false"]),
        (["-e", "A=b", "--env=C=d", "c1"], {"env": ["A=b", "C=d"]}, ["c1"]),
        (["-e", "A=b,C=d", "c1"], {"env": ["A=b,C=d"]}, ["c1"]),
        (["--bundle", "/a", "--bundle", "/b", "c1"], {"bundle": "/b"}, ["c1"]),
        (["--bundle", "-d", "c1"], {"bundle": "-d"}, ["c1"]),
        (["--preserve-fds", "3", "c1"], {"preserve-fds": 3}, ["c1"]),
        (["--interval", "1m30s", "c1"], {"interval": 90.0}, ["c1"]),
        (["-", "c1"], {}, ["-", "c1"]),
        (["--", "-d", "c1"], {}, ["-d", "c1"]),
        (["c1", "--", "-d"], {}, ["c1", "-d"]),
        (["c1", "--detach", "15"], {"detach": True}, ["c1", "15"]),
        (["c1", "-b", "/b"], {"bundle": "/b"}, ["c1"]),
    ],
)
def test_flags_may_stand_anywhere(words, values, arguments):
    assert parse(words, FLAGS, MIXED) == (values, arguments)


@pytest.mark.parametrize(
    ("words", "values", "arguments"),
    [
        (["-d", "c1", "ls", "-e", "--foo"], {"detach": True}, ["c1", "ls", "-e", "--foo"]),
        (["c1", "--", "ls"], {}, ["c1", "--", "ls"]),
        (["--", "c1", "-d"], {}, ["c1", "-d"]),
    ],
)
def test_the_first_argument_ends_the_flags_of_exec(words, values, arguments):
    assert parse(words, FLAGS, FIRST) == (values, arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo", "x"], "flag provided but not defined: -foo"),
        (["x", "--foo"], "flag provided but not defined: -foo"),
        (["-it"], "flag provided but not defined: -it"),
        (["--bundle"], "flag needs an argument: -bundle"),
        (["x", "-b"], "flag needs an argument: -bundle"),
        (["--detach=maybe"], 'invalid boolean value "maybe" for -detach: parse error'),
        (["--detach="], 'invalid boolean value "" for -detach: parse error'),
        (["--preserve-fds", "x"], 'invalid value "x" for flag -preserve-fds: parse error'),
        (["--preserve-fds=-1"], 'invalid value "-1" for flag -preserve-fds: parse error'),
        (["--preserve-fds=\uff11"], 'invalid value "\uff11" for flag -preserve-fds: parse error'),
        (["--interval=5"], 'invalid value "5" for flag -interval: parse error'),
        (["---bundle"], "bad flag syntax: ---bundle"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_a_wrong_flag_is_named(words, message):
    with pytest.raises(Usage) as caught:
        parse(words, FLAGS, MIXED)
    assert caught.value.text == message


@pytest.mark.parametrize("text", ["0", "1", "4294967294", "00012"])
def test_plain_numbers_are_numbers(text):
    assert decimal(text, 2**32 - 2) == int(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "1\n", "+1", "-1", "1_0", "0x1", "1e0", "1.0", "\uff11", "\u0663", "\xb2"),
        *("4294967295", "4294967296", "9" * 5000),
    ],
)
def test_nothing_else_is_a_number(text):
    assert decimal(text, 2**32 - 2) == -1


@pytest.mark.parametrize(
    ("text", "length"), [("5s", 5.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("200ms", 0.2), ("0", 0.0), (".5s", 0.5)]
)
def test_lengths_of_time(text, length):
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5x", "-5s", "5s5", "..5s", "1.2.3s", ".s", "\uff15s", "9" * 31 + "s", "1e3s", "9999999h"]
)
def test_what_is_no_length_of_time(text):
    assert seconds(text) < 0


def test_every_recorded_form_of_a_call_is_understood():
    """Forms of containerd, docker, podman, CRI-O, buildah; the flags of the command, then its arguments."""
    for line, arguments in (
        ("create --bundle P --pid-file P --console-socket P ID", ["ID"]),
        ("create --bundle P --pid-file P --preserve-fds 1 ID", ["ID"]),
        ("create --bundle P --pid-file P --no-pivot --no-new-keyring ID", ["ID"]),
        ("create --bundle P --detach ID", ["ID"]),
        ("exec --pid-file P --process P --detach --tty --console-socket P ID", ["ID"]),
        ("exec -d --console-socket=P --tty --pid-file=P ID sh -c x", ["ID", "sh", "-c", "x"]),
        ("checkpoint --image-path P --work-path P --leave-running --file-locks --leave-running ID", ["ID"]),
        ("restore --image-path P --work-path P --detach --pid-file P -no-subreaper --bundle P ID", ["ID"]),
        ("kill --all ID 9", ["ID", "9"]),
        ("kill ID SIGKILL", ["ID", "SIGKILL"]),
        ("kill ID 9 --all", ["ID", "9"]),
        ("delete ID --force", ["ID"]),
        ("ps --format json ID", ["ID"]),
        ("ps --format table ID -o pid,args", ["ID", "-o", "pid,args"]),
        ("update --resources - ID", ["ID"]),
        ("update --resources=- ID", ["ID"]),
        ("update --memory -1 --memory-swap=-1 ID", ["ID"]),
        ("events --interval=5s ID", ["ID"]),
        ("list --format=json", []),
        ("run --bundle P --keep ID", ["ID"]),
    ):
        name, *words = line.split()
        row = command(name)
        assert parse(words, row.flags, row.order)[1] == arguments, line

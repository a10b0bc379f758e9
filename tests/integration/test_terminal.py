"""Terminals: `run` and `exec` on a real pty, window sizes, console sockets."""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import stat
import termios
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, Started, run, tampered
from tests.support.pty import ConsoleSocket, Interactive, Screen

pytestmark = pytest.mark.root


def terminal_bundle(box: Box) -> Bundle:
    bundle = box.bundle().args("sh")
    bundle.process["terminal"] = True
    bundle.process["env"] = ["PATH=/bin", "TERM=dumb", "PS1=ready> "]
    return bundle


def test_run_on_a_terminal_is_interactive(box: Box) -> None:
    bundle = terminal_bundle(box)
    bundle.write()
    window = Interactive(box.words("run", "--bundle", str(bundle.path), "c"), rows=31, columns=97)
    screen = window.screen
    screen.expect("ready> ")
    raw = window.mode()
    assert raw != window.before, "the caller's terminal is not raw: keys would be echoed twice"
    screen.type("tty; echo $(id -u)-$$\r")
    screen.expect(r"/dev/(pts/\d+|console)\r\n0-1\r\n")
    screen.type("stty size\r")
    screen.expect("31 97\r\n")
    screen.type("exit 5\r")
    assert window.wait() == 5
    assert window.mode() == window.before, "the caller's terminal is left raw"
    window.close()
    assert box.left() == []


STREAMS = ("stdin", "stdout", "stderr")


@pytest.mark.parametrize("command", ["run", "exec"])
@pytest.mark.parametrize("ours", [(0, 1, 2), (1, 2), (0, 2), (2,), ()])
def test_terminals_of_a_command_in_the_foreground(box: Box, command: str, ours: "tuple[int, ...]") -> None:
    """Which of the streams are the caller's terminal, which is the controlling terminal anyhow."""
    script = "stty -a; echo ..; stty size; echo seen; cat /go"
    bundle = terminal_bundle(box).args("sh", "-c", script)
    os.mkfifo(bundle.rootfs / "go")
    bundle.write()
    words = box.words("run", "--bundle", str(bundle.path), "c")
    if command == "exec":
        bundle.process["terminal"] = False
        box.started(bundle.args("sleep", "1000"))
        words = box.words("exec", "--tty", "c", "sh", "-c", script)
    out, into = os.pipe()
    with Path("/dev/null").open("rb") as null:
        elsewhere = {name: null if n == 0 else into for n, name in enumerate(STREAMS) if n not in ours}
        window = Interactive(words, rows=31, columns=97, **elsewhere)
    seen = (window.screen if 1 in ours else Screen(out)).expect(r"(?s).*seen\r?\n").group()
    now, before = window.mode(), window.before
    (bundle.rootfs / "go").write_text("")
    assert window.wait() == 0
    ends = seen.count("\r\n") if 1 in ours else 0
    assert seen.count("\r") == ends and seen.count("\n") > 3, "the caller's terminal does what the container's does not"
    assert ends in (0, seen.count("\n"))
    assert re.search(r"\.\.\s+31 97\s+seen", seen), "the size is there before the program is"
    assert set(seen.split()) >= {"-onlcr", "opost", "icanon", "echo", "isig", "icrnl", "cs8"}
    assert now[1:3] == before[1:3], "output is as it was"
    raw = termios.ISIG | termios.ICANON | termios.ECHO | termios.IEXTEN
    assert now[3] == (before[3] & ~raw if 0 in ours else before[3]), "raw where keys come from"
    assert window.mode() == before
    window.close()
    os.close(out)
    os.close(into)


def test_terminal_without_any_terminal_of_the_callers(box: Box) -> None:
    bundle = terminal_bundle(box).args("sh", "-c", "tty; echo two")
    result = box.run(bundle, start_new_session=True)
    assert result.ok and re.fullmatch(r"/dev/(pts/0|console)\ntwo\n", result.out), result


def test_pty_of_a_console_socket_is_as_the_kernel_made_it(box: Box) -> None:
    """Who relays it clears ONLCR itself, as conmon and containerd do."""
    sink = ConsoleSocket(box.path / "s")
    box.made_container(terminal_bundle(box), "c", "--console-socket", str(sink.path))
    screen, _ = sink.receive()
    mode = termios.tcgetattr(screen.master)
    assert mode[1] & termios.ONLCR and mode[1] & termios.OPOST and mode[3] & termios.ICANON
    screen.close()
    sink.close()


def test_new_window_size_reaches_the_container(box: Box) -> None:
    bundle = terminal_bundle(box)
    bundle.write()
    window = Interactive(box.words("run", "--bundle", str(bundle.path), "c"))
    window.screen.expect("ready> ")
    window.screen.type("while ! stty size | grep '50 132'; do sleep 0.05; done; echo done\r")
    window.screen.resize(50, 132)
    window.screen.expect("\n50 132\r\ndone\r\n")
    window.screen.type("exit\r")
    assert window.wait() == 0
    window.close()


def test_interrupt_key_ends_the_program_and_not_the_runtime(box: Box) -> None:
    bundle = terminal_bundle(box)
    bundle.write()
    window = Interactive(box.words("run", "--bundle", str(bundle.path), "c"))
    window.screen.expect("ready> ")
    # The job says that it has begun: said by the shell, the key could still find the shell and not the job in front
    window.screen.type("sh -c 'echo be''gun; exec sleep 1000'\r")
    window.screen.expect("begun\r\n")
    window.screen.type("\x03")
    window.screen.expect("ready> ")
    window.screen.type("exit 3\r")
    assert window.wait() == 3
    window.close()


def test_much_output_arrives_whole(box: Box) -> None:
    """What the program printed before its end must not be lost in the pty."""
    bundle = terminal_bundle(box).args("seq", "1", "20000")
    bundle.write()
    window = Interactive(box.words("run", "--bundle", str(bundle.path), "c"))
    os.close(window.slave)
    window.slave = os.open(os.devnull, os.O_RDONLY)
    text = window.screen.rest()
    assert text.split() == [str(n) for n in range(1, 20001)]
    assert window.wait() == 0
    window.close()


def test_console_size_of_the_config(box: Box) -> None:
    bundle = terminal_bundle(box).args("stty", "size")
    bundle.process["consoleSize"] = {"height": 44, "width": 155}
    listener = ConsoleSocket(box.path / "console")
    box.made_container(bundle, "c", "--console-socket", str(listener.path))
    screen, _ = listener.receive()
    box.ok("start", "c")
    screen.expect("44 155\r\n")
    screen.close()
    listener.close()


def test_console_socket_gets_the_master_of_a_pty_of_the_container(box: Box) -> None:
    bundle = terminal_bundle(box).shell(
        "tty; ls -l /proc/self/fd/0; stat -c '%t %T' /dev/console; stat -c %u $(readlink -f /proc/self/fd/0);"
        "read line; echo got $line > /dev/console"
    )
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    listener = ConsoleSocket(box.path / "console")
    state = box.made_container(bundle, "c", "--console-socket", str(listener.path))
    screen, payload = listener.receive()
    assert payload, "without a byte of data some receivers see the end of the stream"
    info = os.fstat(screen.master)
    assert stat.S_ISCHR(info.st_mode) and os.major(info.st_rdev) == 5, info
    assert Path(f"/proc/{state['pid']}/fd/0").resolve() == Path("/dev/pts/0")
    box.ok("start", "c")
    screen.expect(r"/dev/pts/0\r\n")
    screen.expect(r"-> /dev/pts/0\r\n")
    screen.expect(r"88 0\r\n")
    screen.expect(r"1000\r\n")
    screen.type("hello\r")
    screen.expect("got hello\r\n")
    screen.close()
    listener.close()


def test_console_socket_gets_a_terminal_that_is_ready(box: Box) -> None:
    """A tracer holds init up when it has sent it: whoever closes it at once does not disturb what is left to do."""
    bundle = terminal_bundle(box).shell("echo lived > /lived")
    bundle.process["consoleSize"] = {"height": 44, "width": 155}
    bundle.write()
    listener = ConsoleSocket(box.path / "console")
    flags = ["--bundle", str(bundle.path), "--detach", "--console-socket", str(listener.path)]
    running = Started([*tampered("sendmsg:delay_exit=300000"), *box.words("run", *flags, "c")])
    screen, _ = listener.receive()
    size = os.get_terminal_size(screen.master)
    screen.close()
    result = running.finish()
    assert result.ok, result
    assert size == (155, 44)
    assert (bundle.rootfs / "lived").read_text() == "lived\n"
    listener.close()


def test_exec_on_a_terminal(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    window = Interactive(box.words("exec", "--tty", "c", "sh"), rows=12, columns=34)
    window.screen.type("stty size; echo $((40+2)); tty\r")
    window.screen.expect("12 34\r\n42\r\n/dev/pts/0\r\n")
    window.screen.type("exit 9\r")
    assert window.wait() == 9
    assert window.mode() == window.before
    window.close()


def test_exec_with_a_console_socket(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    listener = ConsoleSocket(box.path / "console")
    flags = ["--tty", "--detach", "--console-socket", str(listener.path)]
    box.ok("exec", *flags, "c", "sh", "-c", "tty; read x; echo got $x")
    screen, _ = listener.receive()
    screen.expect("/dev/pts/0\r\n")
    screen.type("word\r")
    screen.expect("got word\r\n")
    screen.rest()
    screen.close()
    listener.close()


def test_terminal_without_a_socket_is_refused_when_detached(box: Box) -> None:
    result = box.create(terminal_bundle(box), "c")
    assert result.status == 1
    assert "cannot allocate tty if pyoci will detach without setting console socket" in result.err
    assert box.left() == []


def test_socket_without_a_terminal_is_refused(box: Box) -> None:
    listener = ConsoleSocket(box.path / "console")
    result = box.create(box.bundle().args("true"), "c", "--console-socket", str(listener.path))
    assert result.status == 1
    assert "cannot use console socket if pyoci will not detach or allocate tty" in result.err
    assert box.left() == []
    listener.close()


@pytest.mark.parametrize("kind", ["missing", "deaf", "plain"])
def test_console_socket_that_nobody_serves(box: Box, kind: str) -> None:
    place = box.path / "console"
    if kind == "deaf":
        deaf = socket.socket(socket.AF_UNIX)
        deaf.bind(str(place))
        deaf.close()
    elif kind == "plain":
        place.write_text("")
    result = box.create(terminal_bundle(box), "c", "--console-socket", str(place))
    assert result.status == 1, result
    assert "--console-socket" in result.err and str(place) in result.err
    assert box.left() == []


def test_long_console_socket_path(box: Box) -> None:
    """The receiver may have bound it by a relative name; an address holds 107 bytes."""
    deep = box.path.joinpath(*["d" * 60] * 3)
    deep.mkdir(parents=True)
    before = os.getcwd()
    os.chdir(deep)
    try:
        listener = ConsoleSocket(Path("console"))
    finally:
        os.chdir(before)
    box.made_container(terminal_bundle(box).args("echo", "hello"), "c", "--console-socket", str(deep / "console"))
    screen, _ = listener.receive()
    box.ok("start", "c")
    screen.expect("hello\r\n")
    screen.close()
    listener.close()


def test_image_cannot_put_its_own_device_in_the_terminals_place(box: Box) -> None:
    """/dev/pts/ptmx is opened inside the rootfs: it must be the multiplexer of a devpts, not a file of the image's."""
    bundle = terminal_bundle(box)
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] in ("/proc", "/sys")]
    (bundle.rootfs / "dev" / "pts").mkdir()
    (bundle.rootfs / "dev" / "pts" / "ptmx").write_text("")
    listener = ConsoleSocket(box.path / "console")
    result = box.create(bundle, "c", "--console-socket", str(listener.path))
    assert result.status == 1
    assert "process.terminal" in result.err and "ptmx" in result.err
    assert box.left() == []
    listener.close()


def test_dev_console_of_the_image_is_no_way_out(box: Box) -> None:
    """A link in /dev/console's place must not put the pty over a file of the image's choice."""
    bundle = terminal_bundle(box).shell("cat /victim; stat -c '%t %T' /dev/console; exec true")
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    (bundle.rootfs / "dev" / "pts").mkdir(exist_ok=True)
    (bundle.rootfs / "victim").write_text("intact\n")
    (bundle.rootfs / "dev" / "console").symlink_to("/victim")
    listener = ConsoleSocket(box.path / "console")
    box.made_container(bundle, "c", "--console-socket", str(listener.path))
    screen, _ = listener.receive()
    box.ok("start", "c")
    screen.expect("intact\r\n88 0\r\n")
    screen.close()
    listener.close()


# What becomes of a container whose output nobody takes


def relayed(box: Box, script: str, command: str, stdout: int) -> Started:
    """A container with a terminal and a fifo, in the foreground; its standard output is given."""
    bundle = terminal_bundle(box).shell(script)
    os.mkfifo(bundle.rootfs / "fifo")
    bundle.write()
    pid_file = ["--pid-file", str(box.path / "pid")]
    if command == "run":
        return box.begin("run", *pid_file, "--bundle", str(bundle.path), "c", stdout=stdout)
    words = bundle.process["args"]
    bundle.process["terminal"] = False
    box.started(bundle.args("sleep", "1000"))
    return box.begin("exec", *pid_file, "-t", "c", *words, stdout=stdout)


def said(box: Box) -> str:
    """A line from the container's fifo, up to its writer's close: the next reader must not meet this writer's end."""
    fifo = next(box.path.glob("*/rootfs/fifo"))
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert select.select([fd], [], [], PATIENCE)[0], "nothing was said"
    os.set_blocking(fd, True)
    with os.fdopen(fd) as opened:
        return opened.read().strip()


def full_pipe() -> "tuple[int, int]":
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("command", ["run", "exec"])
def test_output_that_nobody_reads_is_no_end(box: Box, command: str) -> None:
    """The reader goes away: the container is watched on, its status is told, signals reach it."""
    reading, writing = os.pipe()
    os.close(reading)
    script = "trap 'exit 7' TERM; head -c 300000 /dev/zero; echo > /fifo; while :; do sleep 1; done"
    begun = relayed(box, script, command, writing)
    os.close(writing)
    said(box)
    begun.process.send_signal(signal.SIGTERM)
    done = begun.finish()
    assert done.status == 7, done
    assert box.names() == ([] if command == "run" else ["c"])


@pytest.mark.parametrize("command", ["run", "exec"])
def test_output_that_nobody_reads_yet_holds_no_signal_back(box: Box, command: str) -> None:
    """The pipe is full. A second signal, after the end, says that nobody will read what is left."""
    reading, writing = full_pipe()
    script = "trap 'echo got > /fifo; exit 7' TERM; echo kept; yes & echo ready > /fifo; while :; do sleep 1; done"
    begun = relayed(box, script, command, writing)
    os.close(writing)
    assert said(box) == "ready"
    begun.process.send_signal(signal.SIGTERM)
    assert said(box) == "got"
    with contextlib.suppress(ProcessLookupError):
        ended = os.pidfd_open(int((box.path / "pid").read_text()))
        assert select.select([ended], [], [], PATIENCE)[0]
        os.close(ended)
    begun.process.send_signal(signal.SIGTERM)
    done = begun.finish()
    assert done.status == 7, done
    os.close(reading)


def test_all_output_arrives_at_a_slow_reader(box: Box) -> None:
    reading, writing = full_pipe()
    begun = relayed(box, "seq 30000; exit 3", "run", writing)
    os.close(writing)
    text = b""
    while part := os.read(reading, 1000):
        text += part
    assert begun.finish().status == 3
    assert text.lstrip(b".").split() == [str(n).encode() for n in range(1, 30001)]
    os.close(reading)


@pytest.mark.parametrize("command", ["run", "exec"])
def test_a_disk_that_is_full_is_no_end(box: Box, command: str) -> None:
    with open("/dev/full", "wb") as full:
        done = relayed(box, "echo x; exit 5", command, full.fileno()).finish()
    assert done.status == 5, done


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("when", [1, 2])
def test_who_cannot_watch_a_container_any_more_ends_it(box: Box, when: int) -> None:
    """poll(2) fails, in the making of the container or in the wait for its end."""
    bundle = terminal_bundle(box).args("sleep", "1000")
    bundle.write()
    words = box.words("run", "--bundle", str(bundle.path), "c")
    tampering = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=poll", "-e", f"inject=poll:error=ENOMEM:when={when}+"]
    done = run([*tampering, *words])
    assert done.status == 1 and "ENOMEM" in done.err, done
    assert box.left() == []

"""`pyoci sandbox`: status, streams, limits, terminal, the bundle that it writes; nothing is left by it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.command import PYOCI, run
from tests.support.stranger import opened

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def nothing_is_left() -> "Iterator[None]":
    before = leftovers.descendants()
    yield
    leftovers.settle()
    assert leftovers.descendants() - before == set()


def sandbox(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PYOCI, "sandbox", *words], input="in", capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "status", "out"),
    [
        (["sh", "-c", "cat; exit 7"], 7, "in"),
        (["--", "sh", "-c", "kill -ABRT $$"], 134, ""),
        (["--timeout", "300ms", "sleep", "1000"], 124, ""),
        (["--memory", "48M", "python3", "-c", "x = bytearray(200 << 20)"], 137, ""),
        (["-e", "X=y", "--cwd", "/tmp", "--hostname", "a", "sh", "-c", "echo $X; pwd; hostname"], 0, "y\n/tmp\na\n"),
        (["-u", "77:88", "sh", "-c", "id -u; id -g"], 0, "77\n88\n"),
        (["--tmpfs", "/scratch:1M", "sh", "-c", "df -k /scratch | tail -1 | awk '{print $2}'"], 0, "1024\n"),
        (["--cpus", "0.5", "--pids", "20", "--network", "--best-effort", "true"], 0, ""),
    ],
)  # fmt: skip
def test_programs(words: "list[str]", status: int, out: str) -> None:
    done = sandbox(*words)
    assert (done.returncode, done.stdout) == (status, out), done
    if status == 124:
        assert "its time was over" in done.stderr
    elif status == 137:
        assert "lack of memory" in done.stderr
    else:
        assert done.stderr == "", done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-program"], "executable file not found"),
        (["--memory", "lots", "true"], "'lots' is not a size"),
        (["--cpus", "many", "true"], 'invalid value "many" for flag -cpus'),
        (["--bind", "/no/such", "true"], "/no/such does not exist"),
        (["--bind", "a:b:c:d", "true"], 'invalid value "a:b:c:d" for flag -bind'),
        (["--env", "X", "true"], 'invalid value "X" for flag -env'),
        (["--tty", "--timeout", "1s", "true"], "do not go together"),
        ([], "exactly"),
    ],
)
def test_refusals(words: "list[str]", said: str) -> None:
    done = sandbox(*words)
    assert done.returncode == 1
    told = done.stderr.replace('\\"', '"')
    assert said in told or (not words and "argument" in told), done
    assert "Traceback" not in done.stderr and "internal" not in done.stderr


def test_binds(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("here")
    done = sandbox("--bind", f"{tmp_path}:/data", "sh", "-c", "cat /data/file; touch /data/x")
    assert done.stdout == "here" and "Read-only" in done.stderr
    tmp_path.chmod(0o777)
    assert sandbox("--bind", f"{tmp_path}:rw", "touch", f"{tmp_path}/made").returncode == 0
    assert (tmp_path / "made").exists()


def test_a_terminal() -> None:
    words = f"{PYOCI} sandbox --tty sh -c 'test -t 0 && tty; exit 5'"
    done = subprocess.run(
        ["script", "-qec", words, "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 5 and b"/dev/pts/" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(number: int) -> None:
    words = [PYOCI, "sandbox", "--pids", "20", "sh", "-c", "echo up; sleep 1000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None and running.stdout.readline() == b"up\n"
        pid = running.pid
        running.send_signal(number)
        assert running.stdout.read() == b""  # until the last process in the sandbox has ended
    assert running.returncode in (130, -number)
    if number == signal.SIGKILL:
        assert sandbox("true").returncode == 0  # which clears away what it left
    for place in ("state", "roots"):
        assert not [name for name in os.listdir(f"/run/pyoci-sandbox/{place}") if name.startswith(f"{pid}-")]
    assert leftovers.cgroups_named(f"pyoci-sandbox-{pid}-") == []


def test_the_bundle(box: Box) -> None:
    """It is complete: `run` takes it, and so does validate."""
    place = box.path / "written"
    done = sandbox("--bundle", str(place), "--memory", "64M", "--pids", "9", "sh", "-c", "id -u; pwd; ls /home")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    config = json.loads((place / "config.json").read_text())
    assert config["linux"]["resources"] == {"memory": {"limit": 64 << 20}, "pids": {"limit": 10}}
    assert run([PYOCI, "validate", str(place)]).ok
    for path in (place, *place.parents[:3]):
        path.chmod(0o755)
    config["linux"]["cgroupsPath"] = f"/{box.tag}-written"
    (place / "config.json").write_text(json.dumps(config))
    ran = box.call("run", "--bundle", str(place), "c")
    assert ran.ok and ran.out == "65534\n/home/sandbox\nsandbox\n", ran
    again = sandbox("--bundle", str(place), "true")
    assert again.returncode == 1 and "EEXIST" in again.stderr


def test_without_privileges() -> None:
    words = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", PYOCI, "sandbox", "--pids", "20"]
    done = run([*opened(PYOCI), *words, "sh", "-c", "id -u; cat /proc/self/uid_map | tr -s ' '"])
    assert done.ok and done.out.split() == ["54321", "54321", "54321", "1"], done
    refused = run([*opened(PYOCI), *words, "--memory", "64M", "true"])
    assert (refused.status == 1 and "--best-effort" in refused.err) or "best_effort" in refused.err, refused

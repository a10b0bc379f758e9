"""The probe, run on the host: what it says of a process that is known."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conformance.builder import NoProbe, build_probe
from conformance.seen import Seen


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_probe(tmp_path_factory.mktemp("probe") / "probe")
    except NoProbe as missing:
        pytest.skip(str(missing))


def run(probe: Path, *words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(probe), *words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_it_reports_what_it_was_given(probe: Path, tmp_path: Path) -> None:
    done = run(probe, "report", "stat:/dev/null", env={"ONE": "eins", "EMPTY": ""}, cwd=tmp_path, umask=0o027)
    seen = Seen(json.loads(done.stdout))
    assert seen["args"] == [str(probe), "report", "stat:/dev/null"]
    assert seen.environment() == {"ONE": "eins", "EMPTY": ""}
    assert (seen["cwd"], seen["umask"], seen["uids"]) == (str(tmp_path), 0o027, [os.getuid()] * 3)
    assert seen["namespaces"]["net"] == os.readlink("/proc/self/ns/net")
    assert (seen.did("stat")["major"], seen.did("stat")["minor"]) == (1, 3)


def test_attempts_have_a_result_and_an_errno(probe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b'quotes " and \\ and \x01\xff')
    words = [f"read:{tmp_path}/file", f"read:{tmp_path}/none", f"mkdir:{tmp_path}/new", f"write:{tmp_path}/w=text"]
    seen = Seen(json.loads(run(probe, "report", *words).stdout))
    text = seen.did("read", f"{tmp_path}/file")["text"]
    assert text.encode("latin-1") == (tmp_path / "file").read_bytes()
    assert seen.did("read", f"{tmp_path}/none")["errno"] == 2
    assert (seen.did("mkdir")["errno"], (tmp_path / "new").is_dir(), (tmp_path / "w").read_text()) == (0, True, "text")


def test_it_ends_as_it_is_told(probe: Path) -> None:
    assert run(probe, "exit:42").returncode == 42
    assert run(probe, "raise:15").returncode == -15
    unknown = run(probe, "no-such-verb")
    assert (unknown.returncode, "no-such-verb" in unknown.stderr) == (92, True)


def test_system_calls_are_tried_in_a_child(probe: Path) -> None:
    seen = Seen(json.loads(run(probe, "report", "syscall:getuid", "syscall:lseek:99:0:0", "thread:getpriority").stdout))
    assert (seen.did("syscall", "getuid")["result"], seen.did("syscall", "getuid")["signal"]) == (os.getuid(), 0)
    assert seen.did("syscall", "lseek:99:0:0")["errno"] == 9
    assert seen.did("thread")["status"] == 0


def test_a_hook_appends_a_line(probe: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for label, status in (("first", "0"), ("second", "7")):
        done = run(probe, "hook", str(log), label, status, input='{"id": "x"}')
        assert done.returncode == int(status)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["label"], line["stdin"]) for line in lines] == [("first", '{"id": "x"}'), ("second", '{"id": "x"}')]

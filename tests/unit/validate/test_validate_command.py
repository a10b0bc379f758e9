"""The command validate: forms of output, exit status, kinds of input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from validate_samples import CONFIG, DATA, FEATURES, GONE, STATE, changed

from pyoci.cli import main
from tests.support.stranger import opened

BAD = b"""{
  "ociVersion": "1.3.0",
  "root": {"path": "rootfs"},
  "hostnam": "x",
  "process": {"cwd": "srv", "args": ["sh"]}
}
"""


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> "tuple[int, str, str]":
        status = main(["validate", *words])
        output = capfd.readouterr()
        return status, output.out, output.err

    return call


def put(path: Path, value: Any) -> str:
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return str(path)


def test_for_people(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "bad.json", BAD)
    status, out, _ = run(name)
    assert status == 1
    assert out == (
        f'{name}:4:3: warning[unknown-property]: hostnam: unknown property "hostnam" is ignored\n'
        '     4 |   "hostnam": "x",\n'
        "       |   ^\n"
        '    help: did you mean "hostname"?\n'
        "    see: config.md#extensibility (SHOULD)\n"
        f'{name}:5:15: error[process-cwd-relative]: process.cwd: Cwd must be an absolute path, "srv" is not\n'
        '     5 |   "process": {"cwd": "srv", "args": ["sh"]}\n'
        "       |               ^\n"
        "    expected: working directory, absolute\n"
        "    see: config.md#process (MUST)\n"
        f"{name}: not valid (config): 1 error, 1 warning\n"
    )


def test_the_mark_stands_under_the_place_in_a_long_line(run: Any, tmp_path: Path) -> None:
    document = changed(
        CONFIG, {"process/env": ["A=" + "é" * 3000], "linux/namespaces/0/type": "x", "process/cwd": "é\u2028"}
    )
    name = put(tmp_path / "long.json", json.dumps(document, ensure_ascii=False).encode())
    lines = run(name)[1].split("\n")
    for number, line in enumerate(lines):
        if line.strip(" |") == "^":
            shown = lines[number - 1]
            assert len(shown) < 130
            assert shown[line.index("^") :].startswith(('"cwd"', '"type": "x"'))


def test_a_sound_bundle(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "config.json", CONFIG)
    assert run(str(tmp_path)) == (0, f"{tmp_path}/config.json: valid (config): 0 errors, 0 warnings\n", "")
    monkeypatch.chdir(tmp_path)
    assert run() == (0, "config.json: valid (config): 0 errors, 0 warnings\n", "")
    assert run("--bundle", str(tmp_path))[0] == 0


def test_strict_makes_warnings_errors(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "c.json", changed(CONFIG, {"hostnme": "x"}))
    assert run(name)[0] == 0
    status, out, _ = run("--strict", name)
    assert status == 1
    assert "error[unknown-property]" in out


def test_start_needs_a_process(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "c.json", changed(CONFIG, {"process": GONE}))
    assert run(name)[0] == 0
    from pyoci.validate.analysis import missing_process

    assert [problem.code for problem in missing_process(Path(name).read_bytes())] == ["process-required"]
    assert missing_process(json.dumps(CONFIG).encode()) == []


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (CONFIG, "config"),
        (STATE, "state"),
        (FEATURES, "features"),
        ({"cwd": "/", "args": ["sh"]}, "process"),
        ({}, "config"),
        ([], "config"),
        (b"{", "config"),
    ],
)
def test_the_kind_is_seen(run: Any, tmp_path: Path, document: Any, kind: str) -> None:
    assert f"({kind}): " in run(put(tmp_path / "x.json", document))[1]


def test_the_kind_is_told(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "x.json", {})
    status, out, _ = run("--kind", "state", name)
    assert (status, "(state): 4 errors" in out) == (1, True)


def test_as_json(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "bad.json", BAD)
    status, out, _ = run("--format", "json", name)
    assert status == 1
    report = json.loads(out)
    assert (report["file"], report["kind"], report["valid"]) == (name, "config", False)
    assert report["problems"][1] == {
        "code": "process-cwd-relative",
        "severity": "error",
        "level": "MUST",
        "pointer": "/process/cwd",
        "place": "process.cwd",
        "line": 5,
        "column": 15,
        "message": 'Cwd must be an absolute path, "srv" is not',
        "expected": "working directory, absolute",
        "help": "",
        "spec": "config.md#process",
    }
    status, out, _ = run("--format", "json", name, name)
    assert [entry["file"] for entry in json.loads(out)] == [name, name]


SARIF = {  # the parts of SARIF 2.1.0 that a reader relies on
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "properties": {
        "version": {"enum": ["2.1.0"]},
        "runs": {
            "minItems": 1,
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"properties": {"driver": {"required": ["name", "rules"]}}},
                    "results": {
                        "items": {
                            "required": ["message", "ruleId", "level", "locations"],
                            "properties": {"level": {"enum": ["error", "warning", "note", "none"]}},
                        }
                    },
                },
            },
        },
    },
}


def test_as_sarif(run: Any, tmp_path: Path) -> None:
    name = put(tmp_path / "a b.json", BAD)
    status, out, _ = run("--format=sarif", name)
    assert status == 1
    report = json.loads(out)
    jsonschema.Draft4Validator(SARIF).validate(report)
    (sarif_run,) = report["runs"]
    rules = sarif_run["tool"]["driver"]["rules"]
    for result in sarif_run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    place = sarif_run["results"][1]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 5, "startColumn": 15}
    assert place["artifactLocation"]["uri"].endswith("/a%20b.json")


def test_from_the_standard_input(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = os.dup(0)
    fd = os.open(put(tmp_path / "x", BAD), os.O_RDONLY)
    try:
        os.dup2(fd, 0)
        status, out, _ = run("-")
    finally:
        os.dup2(saved, 0)
        os.close(fd)
        os.close(saved)
    assert status == 1
    assert out.startswith("-:4:3: warning")


@pytest.mark.parametrize("words", [["/nowhere"], ["--format", "xml", "."], ["--kind", "image", "."]])
def test_a_question_that_cannot_be_answered(run: Any, words: "list[str]") -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert "Traceback" not in err and err.count("\n") <= 2


def launch(code: str, directory: Path, document: bytes, *prefix: str) -> "subprocess.CompletedProcess[bytes]":
    """validate - in a process of its own, isolated as the launcher isolates it, with no environment."""
    start = "import os, sys; sys.path.insert(0, sys.argv[1]); from pyoci.cli import main"
    code = f"{start}\n{code}\nsys.exit(main(['validate', '-']))"
    command = [*prefix, sys.executable, "-I", "-S", "-c", code, str(DATA.parents[1])]
    return subprocess.run(command, check=False, input=document, cwd=directory, env={}, capture_output=True)


def test_isolated_in_a_directory_with_traps(tmp_path: Path) -> None:
    for name in ("json", "jsonschema", "re", "difflib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('trapped')")
    done = launch("", tmp_path, BAD)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"-: not valid (config): 1 error, 1 warning" in done.stdout


def test_without_privileges(tmp_path: Path) -> None:
    root = os.geteuid() == 0
    code = "os.setgid(65534); os.setuid(65534)" if root else ""
    done = launch(code, tmp_path, BAD, *(opened() if root else []))
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"-: not valid (config): 1 error, 1 warning" in done.stdout


def test_a_long_report_is_written_whole(tmp_path: Path) -> None:
    many = json.dumps({f"unknown{n}": n for n in range(3000)}).encode()
    packages = str(Path(jsonschema.__file__).parents[1])  # the launcher knows it; in a virtual environment -S does not
    report = launch(f"sys.path.append({packages!r})", tmp_path, many).stdout
    assert report.count(b"warning[unknown-property]") == 1000
    assert report.count(b"warning[cut-short]") == 1
    assert report.endswith(b"-: not valid (config): 2 errors, 1001 warnings\n")


def test_another_system_has_no_shim(tmp_path: Path) -> None:
    """There, too, one wants to know whether a config is right."""
    code = "import sys; sys.modules['pyoci._shim'] = None\nfrom pyoci.cli import main\nsys.exit(main(sys.argv[1:]))"
    name = put(tmp_path / "config.json", CONFIG)
    done = subprocess.run([sys.executable, "-c", code, "validate", name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "valid" in done.stdout

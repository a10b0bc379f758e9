"""From verdicts to findings, and from findings to the five reports."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conformance.plugin import Progress
from conformance.report import FORMATS
from conformance.requirements import load
from conformance.results import Run, merged_rounds, read_records, summary, summed_up
from conformance.verdict import Verdict, explain

IDS = [
    "runtime.kill.sends-signal",
    "config.hostname",
    "config.mounts.option.rro",
    "defacto.run",
    "linux.cgroups.unfit-error",
]
TRICKY = 'a <b> & "quotes" | pipes # hash\nand a line'


def record(test: str, *verdicts: "tuple[str, str]") -> "dict[str, Any]":
    entries = [
        Verdict(name, result, "asked " + TRICKY, "seen " + TRICKY, {"a": 1}, ["cmd"]).as_dict()
        for name, result in verdicts
    ]
    return {"test": test, "outcome": "passed", "seconds": 0.1, "verdicts": entries, "text": ""}


def run(*records: "dict[str, Any]") -> Run:
    chosen = {name: load()[name] for name in IDS}
    return Run("/usr/bin/some-runtime", "some version 1", 3.2, list(records), summed_up(list(records), chosen), [])


@pytest.mark.parametrize(
    ("results", "wanted"),
    [
        (["pass", "fail"], "fail"),
        (["skip", "pass"], "pass"),
        (["error", "pass"], "error"),
        (["skip", "skip"], "skip"),
        ([], "untested"),
    ],
)
def test_the_worst_verdict_counts(results: "list[str]", wanted: str) -> None:
    made = run(*(record(f"t{index}", ("config.hostname", result)) for index, result in enumerate(results)))
    assert made.findings["config.hostname"].result == wanted


def test_what_cannot_be_observed_is_not_called_untested() -> None:
    assert run().findings["linux.cgroups.unfit-error"].result == "unobservable"


def test_what_makes_a_run_fail() -> None:
    should = run(record("t", ("config.mounts.option.rro", "fail"), ("config.hostname", "pass")))
    assert should.passed("must") and not should.passed("all")
    must = run(record("t", ("config.hostname", "fail")))
    assert not must.passed("must")
    assert not run(record("t", ("config.hostname", "error"))).passed("must")
    clean = run(record("t", ("config.hostname", "pass"), ("defacto.run", "skip")))
    assert clean.passed("all")
    clean.left.append("mount /x")
    assert not clean.passed("must")


def test_counts() -> None:
    rows = {
        row["group"]: row for row in summary(run(record("t", ("config.hostname", "fail"), ("defacto.run", "pass"))))
    }
    assert (rows["MUST"]["requirements"], rows["MUST"]["fail"], rows["MUST"]["untested"]) == (3, 1, 1)
    assert (rows["de facto"]["pass"], rows["SHOULD"]["untested"]) == (1, 1)


@pytest.fixture
def two_runs() -> "list[Run]":
    first = run(
        record("a::b", ("config.hostname", "fail"), ("defacto.run", "pass"), ("config.mounts.option.rro", "skip"))
    )
    second = run(record("a::b", ("config.hostname", "pass")))
    first.left.append("mount <x>")
    return [first, second]


def test_json(two_runs: "list[Run]") -> None:
    content = json.loads(FORMATS["json"](two_runs))
    hostname = next(one for one in content["runtimes"][0]["requirements"] if one["id"] == "config.hostname")
    assert hostname["result"] == "fail" and hostname["verdicts"][0]["config"] == {"a": 1}
    assert hostname["link"].endswith("config.md#configHostname")


def test_junit_is_xml(two_runs: "list[Run]") -> None:
    root = ElementTree.fromstring(FORMATS["junit"](two_runs).split("\n", 1)[1])
    suites = list(root)
    assert [suite.get("failures") for suite in suites] == ["1", "0"]
    assert TRICKY.split("\n", maxsplit=1)[0] in (suites[0].find("testcase/failure").text or "")  # type: ignore[union-attr]


def test_tap_is_a_line_a_requirement(two_runs: "list[Run]") -> None:
    lines = FORMATS["tap"](two_runs).splitlines()
    assert lines[:2] == ["TAP version 13", f"1..{2 * len(IDS)}"]
    assert sum(line.startswith(("ok ", "not ok ")) for line in lines) == 2 * len(IDS)
    assert sum(line.startswith("not ok ") for line in lines) == 1


def test_markdown_names_the_failure(two_runs: "list[Run]") -> None:
    text = FORMATS["markdown"](two_runs)
    assert "**config.hostname**" in text and "left behind" in text
    assert "<b>" not in text


def test_html_is_self_contained_and_escaped(two_runs: "list[Run]") -> None:
    text = FORMATS["html"](two_runs)
    assert "mount &lt;x&gt;" in text and "<b> &" not in text
    for forbidden in ("src=", "@import", "<link", "url("):
        assert forbidden not in text
    assert text.count('class="req"') == len(IDS)


def test_every_report_says_when_and_where_it_was(two_runs: "list[Run]") -> None:
    for made in two_runs:
        made.begun, made.host = "2026-01-02 03:04 UTC", "Some Linux, 2 processors"
    for name in FORMATS:
        text = FORMATS[name](two_runs)
        assert "2026-01-02 03:04 UTC" in text and "Some Linux, 2 processors" in text, name
        assert "interrupted after" not in text
    two_runs[1].interrupted = True
    assert not two_runs[1].passed("must")
    for name in FORMATS:
        whole = '"interrupted": true' if name == "json" else 'name="interrupted" value="True"'
        assert (whole if name in ("json", "junit") else "interrupted after 1 tests") in FORMATS[name](two_runs), name


def test_counts_of_the_page_have_no_empty_columns(two_runs: "list[Run]") -> None:
    counted = FORMATS["html"](two_runs).partition('<table class="counts">')[2].partition("</thead>")[0]
    assert ">fail<" in counted and ">untested<" in counted and ">error<" not in counted


def test_a_line_that_was_cut_short_is_none(tmp_path: Path) -> None:
    (tmp_path / "results").write_text(json.dumps(record("t")) + '\n{"test": "u", "ver')
    assert [one["test"] for one in read_records(tmp_path / "results")] == ["t"]


def test_progress_without_a_terminal_is_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("lines", "some-runtime")
    progress.total = 25
    for number in range(25):
        progress.count(f"suite/test_x.py::test_{number}", True, number == 3)
    progress.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and "\r" not in "".join(lines)
    assert lines[0].startswith("some-runtime: 3/25 tests, 0 failed, ") and lines[-1].startswith("some-runtime: 25/25")


def test_progress_on_a_terminal_keeps_to_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    progress = Progress("terminal", "some-runtime")
    progress.total = 2
    progress.count("suite/test_x.py::test_with_a_long_name", True, False)
    assert capsys.readouterr().err == "\r\x1b[Ksome-runtime: 1/2 tests, 0 fa"


def test_an_explanation_has_everything() -> None:
    verdict = Verdict("config.hostname", "fail", "name a", "name b", {"hostname": "a"}, ["runc create x"])
    text = explain(verdict, "MUST", "config.md#configHostname", "1.0.0", "The program sees hostname.", "repeat this")
    for part in ("config.hostname (MUST, config.md#configHostname, since 1.0.0)", "name a", "name b", "repeat this"):
        assert part in text
    assert "runc create x" in text and '"hostname":"a"' in text


def test_rounds_are_merged_to_the_worst_and_what_differs_is_named() -> None:
    good = run(record("t", ("config.hostname", "pass")), record("u", ("config.hostname", "pass")))
    bad = run(record("t", ("config.hostname", "fail")), record("u", ("config.hostname", "pass")))
    merged = merged_rounds([good, bad, good])
    assert [(row.requirement, row.test, row.results) for row in merged.unsteady] == [
        ("config.hostname", "t", ["pass", "fail", "pass"])
    ]
    assert merged.findings["config.hostname"].result == "fail"
    assert (merged.rounds, len(merged.tests)) == (3, 2)
    assert merged_rounds([good, good]).unsteady == [] and merged_rounds([bad, bad]).unsteady == []


def test_a_verdict_that_changes_fails_the_run_even_between_pass_and_skip() -> None:
    merged = merged_rounds([run(record("t", ("config.hostname", one))) for one in ("pass", "skip")])
    assert not merged.passed("must")
    assert merged_rounds([run(record("t", ("config.hostname", "pass")))] * 2).passed("must")


def test_a_test_that_was_missing_in_one_round_is_unsteady() -> None:
    merged = merged_rounds([run(record("t", ("config.hostname", "pass"))), run()])
    assert [row.results for row in merged.unsteady] == [["pass", "untested"]]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_report_names_what_is_unsteady(name: str) -> None:
    merged = merged_rounds([run(record("t", ("config.hostname", one))) for one in ("pass", "skip")])
    assert "in all 2 rounds" in FORMATS[name]([merged]) or '"unsteady": [\n    {' in FORMATS[name]([merged])

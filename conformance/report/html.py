"""One self-contained page: the counts, the matrix with filters, each failure unfolding to its details."""

import html
import json
from typing import Any

from conformance import SPEC_VERSION
from conformance.results import UNOBSERVABLE, UNTESTED, WEIGHT, Finding, Run, summary
from conformance.verdict import ERROR, FAIL, SKIP, repeat_command

MARKS = {"pass": "✓", "fail": "✗", "error": "!", "skip": "~", UNTESTED: "·", UNOBSERVABLE: "·"}

STYLE = """
:root { --ground:#fff; --text:#1c2430; --faint:#667; --line:#dde2ea; --pane:#f5f7fa; --pass:#1a7f4b; --fail:#c0262d;
  --error:#a15c00; --skip:#7a8699; --link:#1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --ground:#14181f; --text:#e3e8ef; --faint:#93a0b4; --line:#2d3542;
  --pane:#1c222c; --pass:#4cc38a; --fail:#ff6b6b; --error:#e8a33d; --skip:#7f8ba0; --link:#7fb0ff; } }
* { box-sizing:border-box }
body { margin:0 auto; padding:1.5rem; max-width:80rem; background:var(--ground); color:var(--text);
  font:15px/1.5 system-ui,sans-serif }
h1 { font-size:1.5rem; margin:0 0 .2rem } h2 { font-size:1.1rem; margin:2rem 0 .5rem }
p.sub { color:var(--faint); margin:0 0 1.2rem } a { color:var(--link) }
table { border-collapse:collapse; width:100% } th,td { text-align:left; padding:.35rem .6rem; vertical-align:top;
  border-bottom:1px solid var(--line) }
th { font-weight:600; white-space:nowrap } td.n,th.n { text-align:right; font-variant-numeric:tabular-nums }
thead.sticky th { position:sticky; top:0; background:var(--ground); z-index:1 }
.pass { color:var(--pass) } .fail { color:var(--fail) } .error { color:var(--error) }
.skip,.untested,.unobservable { color:var(--skip) }
table.matrix { table-layout:fixed } col.id { width:19rem } col.r { width:7.5rem }
td.r { text-align:center; font-weight:700; overflow-wrap:anywhere } th.r { text-align:center; white-space:normal }
code,pre { font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,monospace }
pre { background:var(--pane); border:1px solid var(--line); border-radius:6px; padding:.6rem; overflow:auto;
  max-height:24rem; margin:.3rem 0 .8rem; white-space:pre-wrap; overflow-wrap:anywhere }
.bar { display:flex; flex-wrap:wrap; gap:.6rem 1.2rem; align-items:center; padding:.7rem .9rem; margin:0 0 .8rem;
  background:var(--pane); border:1px solid var(--line); border-radius:8px }
.bar input[type=search] { flex:1 1 14rem; padding:.35rem .6rem; border:1px solid var(--line); border-radius:6px;
  background:var(--ground); color:inherit; font:inherit }
.bar label { white-space:nowrap; cursor:pointer }
.level { color:var(--faint); font-size:.8rem; white-space:nowrap }
table.matrix td { overflow-wrap:anywhere }
tr.runtime td { background:var(--pane); overflow-wrap:anywhere } .when { color:var(--faint) }
@media (max-width: 45rem) {
  body { padding:.7rem; font-size:14px } .bar { gap:.3rem .9rem; padding:.6rem }
  table.counts { font-size:12px } .counts th { white-space:normal } .counts td,.counts th { padding:.3rem }
  table.matrix, table.matrix tbody { display:block } table.matrix thead, table.matrix colgroup { display:none }
  tr.group { display:block } tr.group td { display:block }
  tr.req { display:flex; flex-wrap:wrap; border-bottom:1px solid var(--line); padding:.3rem 0 }
  tr.req td { border:0; padding:.15rem .3rem } tr.req td.id, tr.req td.what { flex:1 1 100% }
  tr.req td.r { flex:0 1 auto; text-align:left; padding-right:1rem }
  tr.req td.r::before { content:attr(data-name) " "; color:var(--faint); font-weight:400 }
  tr.req.hide, tr.group.hide { display:none }
}
tr.group td { background:var(--pane); font-weight:600; cursor:default }
details { margin:.15rem 0 } summary { cursor:pointer; color:var(--faint) }
details[open] > summary { margin-bottom:.4rem }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.2rem .9rem; margin:.3rem 0 .6rem }
dt { color:var(--faint) } dd { margin:0; overflow-wrap:anywhere; min-width:0 }
.hide { display:none } .left { color:var(--fail); font-weight:600 }
"""

SCRIPT = """
const rows = [...document.querySelectorAll('tr.req')];
const groups = [...document.querySelectorAll('tr.group')];
const search = document.getElementById('search');
const boxes = [...document.querySelectorAll('.bar input[type=checkbox]')];
function apply() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const on = kind => new Set(boxes.filter(b => b.dataset.kind === kind && b.checked).map(b => b.value));
  const levels = on('level'), results = on('result');
  const differ = document.getElementById('differ');
  let shown = 0;
  for (const row of rows) {
    const has = row.dataset.results.split(' ');
    const ok = levels.has(row.dataset.level) && has.some(r => results.has(r))
      && (!differ || !differ.checked || new Set(has).size > 1)
      && words.every(w => row.dataset.text.includes(w));
    row.classList.toggle('hide', !ok);
    shown += ok;
  }
  for (const group of groups) {
    let next = group.nextElementSibling, any = false;
    while (next && next.classList.contains('req')) {
      any = any || !next.classList.contains('hide');
      next = next.nextElementSibling;
    }
    group.classList.toggle('hide', !any);
  }
  document.getElementById('shown').textContent = shown + ' of ' + rows.length;
}
search.addEventListener('input', apply);
for (const box of document.querySelectorAll('.bar input[type=checkbox]')) box.addEventListener('change', apply);
apply();
"""


def render(runs: list[Run]) -> str:
    names = ", ".join(run.name for run in runs)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>OCI runtime conformance: {text(names)}</title><style>{STYLE}</style></head><body>",
        "<h1>OCI runtime conformance</h1>",
        f'<p class="sub">Runtime specification {SPEC_VERSION}, Linux, and the de-facto interface of engines.</p>',
        counts(runs),
        "<h2>Requirements</h2>",
        filters(runs),
        matrix(runs),
        f"<script>{SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def text(value: object) -> str:
    return html.escape(str(value))


def counts(runs: list[Run]) -> str:
    """A heading for each runtime and a row for each level; a column that is empty everywhere is left out."""
    groups = [summary(run) for run in runs]
    columns = [one for one in (*WEIGHT, UNTESTED, UNOBSERVABLE) if any(row[one] for rows in groups for row in rows)]
    head = "".join(f'<th class="n">{"un&shy;observable" if one == UNOBSERVABLE else one}</th>' for one in columns)
    lines = []
    for run, rows in zip(runs, groups):
        lines.append(f'<tr class="runtime"><td colspan="{len(columns) + 2}">{about(run)}</td></tr>')
        for row in rows:
            cells = "".join(f'<td class="n {one if row[one] else ""}">{row[one]}</td>' for one in columns)
            lines.append(f'<tr><td>{row["group"]}</td><td class="n">{row["requirements"]}</td>{cells}</tr>')
    return (
        f'<table class="counts"><thead><tr><th>level</th><th class="n">require&shy;ments</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def about(run: Run) -> str:
    """What was judged, when, on what, and what was amiss with the run."""
    version = " · ".join(run.version.splitlines()[:2])
    rounds = f"{run.rounds} rounds of " if run.rounds > 1 else ""
    told = f"<b>{text(run.name)}</b> <code>{text(run.runtime)}</code><br>{text(version)}"
    told += f'<br><span class="when">{text(run.begun)} · {rounds}{run.seconds:.0f} s · {text(run.host)}</span>'
    amiss = [f"interrupted after {len(run.tests)} tests: the others are untested"] if run.interrupted else []
    amiss += [f"left behind: {one}" for one in run.left]
    amiss += [f"not the same in all {run.rounds} rounds: {row}" for row in run.unsteady]
    return told + "".join(f'<br><span class="left">{text(one)}</span>' for one in amiss)


def filters(runs: list[Run]) -> str:
    levels = list(dict.fromkeys(one.requirement.level for run in runs for one in run.findings.values()))
    results = [one for one in MARKS if any(one == finding.result for run in runs for finding in run.findings.values())]
    boxes = [check("level", level, True) for level in levels]
    boxes += [check("result", result, True) for result in results]
    if len(runs) > 1:
        boxes.append('<label><input type="checkbox" id="differ"> runtimes differ</label>')
    return (
        '<div class="bar"><input type="search" id="search" placeholder="Filter by id or text" aria-label="Filter">'
        + "".join(boxes)
        + '<span id="shown"></span></div>'
    )


def check(kind: str, value: str, on: bool) -> str:
    checked = " checked" if on else ""
    box = f'<input type="checkbox" data-kind="{kind}" value="{text(value)}"{checked}>'
    return f'<label class="{text(value)}">{box} {text(value)}</label>'


def matrix(runs: list[Run]) -> str:
    head = "".join(f'<th class="r">{text(run.name)}</th>' for run in runs)
    rows: list[str] = []
    document = ""
    ids = list(dict.fromkeys(name for run in runs for name in run.findings))
    for name in ids:
        findings = [run.findings.get(name) for run in runs]
        requirement = next(one.requirement for one in findings if one)
        if requirement.document != document:
            document = requirement.document
            rows.append(f'<tr class="group"><td colspan="{len(runs) + 2}">{text(document)}</td></tr>')
        rows.append(requirement_row(runs, findings))
    columns = '<colgroup><col class="id"><col>' + '<col class="r">' * len(runs) + "</colgroup>"
    return (
        f'<table class="matrix">{columns}<thead class="sticky"><tr><th>id</th><th>requirement</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def requirement_row(runs: list[Run], findings: "list[Finding | None]") -> str:
    requirement = next(one.requirement for one in findings if one)
    results = [one.result if one else UNTESTED for one in findings]
    cells = "".join(
        f'<td class="r {result}" data-name="{text(run.name)}">{MARKS[result]} {result}</td>'
        for run, result in zip(runs, results)
    )
    link = (
        f'<a href="{text(requirement.link)}">{text(requirement.place)}</a>'
        if requirement.link
        else text(requirement.place)
    )
    since = f" · since {text(requirement.since)}" if requirement.since else ""
    details = "".join(unfolding(run, one) for run, one in zip(runs, findings) if one)
    if requirement.unobservable:
        details += f'<div class="level">not observable: {text(requirement.unobservable)}</div>'
    searched = f"{requirement.id} {requirement.text}".lower()
    return (
        f'<tr class="req" data-level="{requirement.level}" data-results="{" ".join(results)}"'
        f' data-text="{text(searched)}"><td class="id"><code>{text(requirement.id)}</code><br>'
        f'<span class="level">{requirement.level}{since}</span></td>'
        f'<td class="what">{text(requirement.text)}<br><span class="level">{link}</span>{details}</td>{cells}</tr>'
    )


def unfolding(run: Run, finding: Finding) -> str:
    """The details of a failure; for a skip its reason."""
    if finding.result == SKIP:
        reason = finding.verdicts[0]["seen"] if finding.verdicts else ""
        return f'<div class="level">{text(run.name)} skipped: {text(reason)}</div>'
    if finding.result not in (FAIL, ERROR):
        return ""
    bad = [verdict for verdict in finding.verdicts if verdict["result"] == finding.result]
    inside = "".join(one_verdict(run, verdict) for verdict in bad[:5])
    more = f"<p>and {len(bad) - 5} more</p>" if len(bad) > 5 else ""
    head = f'<summary class="{finding.result}">{text(run.name)}: what was asked and seen</summary>'
    return f"<details>{head}{inside}{more}</details>"


def one_verdict(run: Run, verdict: dict[str, Any]) -> str:
    repeat = repeat_command(run.runtime, verdict["test"], run.cgroup_manager)
    commands = "\n".join(verdict["commands"])
    config = json.dumps(verdict["config"], indent=1)
    return (
        f"<dl><dt>asked</dt><dd>{text(verdict['asked'])}</dd><dt>seen</dt><dd>{text(verdict['seen'])}</dd>"
        f"<dt>repeat</dt><dd><code>{text(repeat)}</code></dd></dl>"
        f"<details><summary>commands</summary><pre>{text(commands)}</pre></details>"
        f"<details><summary>config.json</summary><pre>{text(config)}</pre></details>"
    )

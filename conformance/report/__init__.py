"""Reports: one module a format, each with render(runs) -> str."""

from typing import Callable, Dict, List

from conformance.report import html, json_report, junit, markdown, tap
from conformance.results import Run

FORMATS: Dict[str, Callable[[List[Run]], str]] = {
    "html": html.render,
    "json": json_report.render,
    "junit": junit.render,
    "markdown": markdown.render,
    "tap": tap.render,
}

"""Reports: one module a format, each with render(runs) -> str."""

from collections.abc import Callable

from conformance.report import html, json_report, junit, markdown, tap
from conformance.results import Run

FORMATS: dict[str, Callable[[list[Run]], str]] = {
    "html": html.render,
    "json": json_report.render,
    "junit": junit.render,
    "markdown": markdown.render,
    "tap": tap.render,
}

"""Whether a document is what the spec says: quick checks for the commands, full reports for `pyoci validate`.

A check has two layers: the schema (a function generated from schemas/) and the rules no schema can say (`musts`). The
commands refuse what violates a MUST; what the spec merely recommends is told by `pyoci validate` only.
"""

from ..errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .analysis import Problem
    from .musts import Finding


def check_config(config: object, *, raw: "Optional[bytes]" = None) -> None:
    """Refuse a config.json (config.md, config-linux.md) that violates a MUST; a missing process is no violation.

    config: the parsed document
    raw:    its text, where at hand: spares a search for NUL characters

    Raises Error with the first problem, its place, and how many more there are.
    """
    if config is None:
        raise Error("config cannot be null", location="config.json")
    from . import _accept  # not at the top: the generator that makes it is in this package

    found: "list[Finding]" = []
    accepted = _accept.config(config)
    if accepted:
        from .musts import config_rules

        config_rules(_typed(config), found)
    if not accepted or found or _has_nul(config, raw):
        _refuse(config, "config", "config.json", found)


def check_runnable_config(config: object, *, raw: "Optional[bytes]" = None) -> None:
    """As check_config, for the commands that will start the process: it must be there (config.md#process)."""
    check_config(config, raw=raw)
    if "process" not in _typed(config):
        raise Error("process property must not be empty", location="process")


def check_process(process: object) -> None:
    """Refuse a process given to `exec --process` that violates a MUST of config.md#process."""
    if process is None:
        raise Error("process property must not be empty", location="process")
    from . import _accept

    found: "list[Finding]" = []
    accepted = _accept.process(process)
    if accepted:
        from .musts import process_rules

        process_rules(_typed(process), "linux", (), found)
    if not accepted or found or _has_nul(process, None):
        _refuse(process, "process", "process", found)


def check_state(state: object) -> None:
    """Refuse a state document that violates a MUST of runtime.md#state."""
    from . import _accept_rest

    found: "list[Finding]" = []
    accepted = _accept_rest.state(state)
    if accepted:
        from .musts_documents import state_rules

        state_rules(_typed(state), found)
    if not accepted or found:
        _refuse(state, "state", "state", found)


def check_features(features: object) -> None:
    """Refuse a features document that violates a MUST of features.md or features-linux.md."""
    from . import _accept_rest

    found: "list[Finding]" = []
    accepted = _accept_rest.features(features)
    if accepted:
        from .musts_documents import features_rules

        features_rules(_typed(features), found)
    if not accepted or found:
        _refuse(features, "features", "features", found)


def report(raw: bytes, kind: str) -> "list[Problem]":
    """Everything there is to say about a document, in the order of the document.

    raw:  the document's bytes
    kind: config, process, state or features
    """
    from .analysis import analyse_text

    return analyse_text(raw, kind)


def _typed(document: object) -> "dict[str, Any]":
    assert isinstance(document, dict)  # the schema said so
    return document


def _has_nul(document: object, raw: "Optional[bytes]") -> bool:
    """Whether a NUL may hide in a string; JSON can only write it as an escape."""
    if raw is not None:
        return b"\\u0000" in raw
    from ..jsondoc import dump

    return "\\u0000" in dump(document)


def _refuse(document: object, kind: str, name: str, found: "list[Finding]") -> None:
    from .analysis import refusal

    problem = refusal(document, kind, name, found)
    if problem is not None:
        raise problem

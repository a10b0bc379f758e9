"""Whether a document is what the spec says: quick checks for the commands, full reports for `pyoci validate`.

A check has two layers: the schema (a function generated from schemas/) and the rules no schema can say (`musts`). The
commands refuse what violates a MUST; what the spec merely recommends is told by `pyoci validate` only.
"""

from pyoci.errors import Error
from pyoci.json.document import Namespace, dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.validate.analysis import Problem
    from pyoci.validate.musts import Finding

    # Of a config, and of what is known of it already
    Further = Callable[[dict[str, Any], list[Finding]], list[Finding]]


def check_config(config: object, *, raw: "Optional[bytes]" = None) -> bool:
    """Refuses a config.json (config.md, config-linux.md) that violates a MUST; a missing process is no violation.

    config: the parsed document; properties that are null are taken out of it, numbers that count as zero where they are
            absent are written into it
    raw:    its text, where at hand: spares a search for NUL characters

    Returns whether there were such properties. Raises Error with the first problem, its place, and how many more there
    are.
    """
    if config is None:
        raise Error("config cannot be null", location="config.json")
    from pyoci.validate import _accept  # not at the top: the generator that makes it is in this package
    from pyoci.validate.musts import config_rules

    fits, changed = _accept.config(config) and not _broken(config_rules, config), False
    if not fits:
        changed = _read_as_go(config, "config")
        fits = changed and _accept.config(config) and not _broken(config_rules, config)
    if not fits or _has_nul(config, raw):
        _refuse(config, "config", "config.json")
    return changed


def check_runnable_config(config: object, *, raw: "Optional[bytes]" = None) -> bool:
    """As check_config, for the commands that will start the process: it must be there (config.md#process)."""
    changed = check_config(config, raw=raw)
    if "process" not in _typed(config):
        raise Error("process property must not be empty", location="process")
    return changed


def check_process(process: object) -> None:
    """Refuses a process given to `exec --process` that violates a MUST of config.md#process; changes it as
    check_config() does."""
    if process is None:
        raise Error("process property must not be empty", location="process")
    from pyoci.validate import _accept
    from pyoci.validate.musts import process_rules

    def rules(document: "dict[str, Any]", found: "list[Finding]") -> None:
        process_rules(document, "linux", (), found)

    fits = _accept.process(process) and not _broken(rules, process)
    if not fits:
        fits = _read_as_go(process, "process") and _accept.process(process) and not _broken(rules, process)
    if not fits or _has_nul(process, None):
        _refuse(process, "process", "process")


def check_state(state: object) -> None:
    """Refuses a state document that violates a MUST of runtime.md#state."""
    from pyoci.validate import _accept_rest
    from pyoci.validate.musts_documents import state_rules

    if not _accept_rest.state(state) or _broken(state_rules, state):
        _refuse(state, "state", "state")


def check_features(features: object) -> None:
    """Refuses a features document that violates a MUST of features.md or features-linux.md."""
    from pyoci.validate import _accept_rest
    from pyoci.validate.musts_documents import features_rules

    if not _accept_rest.features(features) or _broken(features_rules, features):
        _refuse(features, "features", "features")


def report(raw: bytes, kind: str, further: "Optional[Further]" = None) -> "list[Problem]":
    """Everything there is to say about a document, in the order of the document.

    raw:     the document's bytes
    kind:    config, process, state or features
    further: what there is to say of a config that the rules find right, such as hostcheck.anyhost.everywhere
    """
    from pyoci.validate.analysis import analyse_text

    return analyse_text(raw, kind, further)


def _typed(document: object) -> "dict[str, Any]":
    assert isinstance(document, dict)  # the schema said so
    return document


def _read_as_go(document: object, kind: str) -> bool:
    """null is absent, and a required number that is absent is zero; whether there was anything to change."""
    from pyoci.validate.nulls import drop
    from pyoci.validate.zeros import fill

    dropped = drop(document)
    return fill(document, kind) or dropped


def _stop(finding: "Finding") -> None:
    raise Error(finding[2], kind="refused")


# Stands where rules expect a list, and has enough of one finding: a hundred thousand of them, each with a suggestion,
# take a while
_FIRST = Namespace(append=_stop)


def _broken(rules: "Callable[[dict[str, Any], list[Finding]], None]", document: object) -> bool:
    """Whether a rule says anything to a document that fits its schema."""
    try:
        rules(_typed(document), _FIRST)
    except Error:
        return True
    return False


def _has_nul(document: object, raw: "Optional[bytes]") -> bool:
    """Whether a NUL may hide in a string; JSON can only write it as an escape."""
    if raw is not None:
        return b"\\u0000" in raw
    return "\\u0000" in dump(document)


def _refuse(document: object, kind: str, name: str) -> None:
    from pyoci.validate.analysis import refusal

    problem = refusal(document, kind, name)
    if problem is not None:
        raise problem

"""The schemas at leisure: jsonschema's errors in our words, what a place is for, and names nobody knows."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyoci.errors import Error
from pyoci.validate.musts import nearest

if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Path

    Schema = dict[str, Any]

ROOTS = {
    "config": "#/definitions/config",
    "process": "#/definitions/config/definitions/process",
    "state": "#/definitions/state",
    "features": "#/definitions/features",
}
MOST = 1000  # problems of one sort that are looked for
TYPES = {
    "object": "an object", "array": "a list", "string": "a string", "integer": "an integer", "boolean": "true or false",
    "null": "null",
}  # fmt: skip
CODES = {
    "type": "schema-type",
    "enum": "schema-enum",
    "required": "schema-required",
    "minimum": "schema-range",
    "maximum": "schema-range",
    "minLength": "schema-length",
    "minItems": "schema-length",
    "pattern": "schema-pattern",
}


def load() -> Schema:
    """The bundle of schemas/ that was generated beside this module."""
    with open(os.path.join(os.path.dirname(__file__), "_schemas.json"), encoding="utf-8") as file:
        return dict(json.load(file))


class Reader:
    """One kind of document: its schema, and how to look things up in it; cut: there were more errors() than told."""

    __slots__ = ("cut", "kind", "root", "whole")

    def __init__(self, kind: str) -> None:
        self.cut = False
        self.kind = kind
        self.whole = load()
        self.root: Schema = {"$ref": ROOTS[kind]}

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself where a reference stands, with the reference's own title and section."""
        while "$ref" in schema:
            place: Any = self.whole
            for step in schema["$ref"][2:].split("/"):
                place = place[step]
            schema = {**place, **{word: schema[word] for word in ("title", "spec") if word in schema}}
        return schema

    def below(self, schema: Schema, step: str | int) -> Schema | None:
        """The schema of a member or an item, None where the schema says nothing of it."""
        if isinstance(step, int):
            return schema.get("items")
        found = schema.get("properties", {}).get(step)
        return found if found is not None else schema.get("additionalProperties")

    def describe(self, path: Path) -> Schema:
        """The schema of the nearest known place at or above a path: has a title and the spec's section."""
        schema = self.resolve(self.root)
        title, spec = schema["title"], schema["spec"]
        for step in path:
            lower = self.below(schema, step)
            if lower is None:
                break
            schema = self.resolve(lower)
            title, spec = schema.get("title", title), schema.get("spec", spec)
        return {**schema, "title": title, "spec": spec}

    def errors(self, document: object) -> list[Finding]:
        """What jsonschema finds, in our words; it is not asked where the generated check finds nothing."""
        from pyoci.validate import _accept, _accept_rest  # the generator that makes them is in this package

        if getattr(_accept if hasattr(_accept, self.kind) else _accept_rest, self.kind)(document):
            return []
        validator = _validator()({"allOf": [self.root], "definitions": self.whole["definitions"]})
        found = _findings(itertools.islice(validator.iter_errors(document), MOST))
        self.cut = len(found) == MOST
        wrong = {path for code, path, _, _ in found if code == "schema-type"}
        return [item for item in found if item[0] == "schema-type" or item[1] not in wrong]

    def unknown(self, document: object) -> Iterator[Finding]:
        """Names of members that no schema knows, at any depth; `annotations` and the like know all."""
        return itertools.islice(self._unknown(document, self.root, ()), MOST)

    def _unknown(self, value: object, schema: Schema, path: Path) -> Iterator[Finding]:
        schema = self.resolve(schema)
        known = schema.get("properties")
        if isinstance(value, dict):
            for name, item in value.items():
                lower = self.below(schema, name)
                if lower is not None:
                    yield from self._unknown(item, lower, (*path, name))
                elif known:
                    yield _unknown_name(name, [word for word in known if word not in value], (*path, name))
        elif isinstance(value, list) and "items" in schema:
            for number, item in enumerate(value):
                yield from self._unknown(item, schema["items"], (*path, number))


def _unknown_name(name: str, known: list[str], path: Path) -> Finding:
    same = [word for word in known if word.lower() == name.lower()]
    hint = f'did you mean "{same[0]}"?' if same else nearest(name, known)
    return "unknown-property", path, f'unknown property "{name}" is ignored', hint


def _validator() -> Any:
    try:
        import jsonschema
    except ImportError:
        # The launcher starts the interpreter without site; the library is beside the other installed ones.
        import site
        import sys

        sys.path += site.getsitepackages()
        try:
            import jsonschema
        except ImportError:
            raise Error(
                "does not fit the schema", hint="install the Python package jsonschema to see where", kind="missing"
            ) from None
    return jsonschema.Draft4Validator


def _findings(errors: Iterator[Any]) -> list[Finding]:
    found: list[Finding] = []
    absent: dict[tuple[Any, ...], list[str]] = {}  # names that an object lacks: it has an error for each, in order
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator == "required":
            names = absent.setdefault(
                (path, tuple(error.absolute_schema_path)),
                [word for word in error.validator_value if word not in error.instance],
            )
            sentence, hint = f'"{names.pop(0)}" is required', ""
        else:
            sentence, hint = _words(error)
        known = _known(path, error.instance, error.validator, sentence)
        found.append((CODES[error.validator], path, f"{known}: {sentence}" if known else sentence, hint))
    return found


def _known(path: Path, value: object, rule: str, sentence: str) -> str:
    """The same in words that scripts know from runc; or nothing."""
    if rule == "required" and sentence == '"cwd" is required':
        return "Cwd property must not be empty"
    if rule != "enum" or not isinstance(value, str):
        return ""
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    if path[:2] == ("linux", "namespaces"):
        return f'namespace {{"{value}" ""}} does not exist'
    if path[:2] == ("linux", "devices"):
        return f'invalid device type "{value}"'
    if last == "rootfsPropagation":
        return f"rootfsPropagation={value} is not supported"
    kinds = {"defaultAction": "action", "action": "action", "architectures": "arch", "op": "operator"}
    if path[:2] == ("linux", "seccomp") and last in kinds:
        return f"string {value} is not a valid {kinds[last]} for seccomp"
    return ""


def _words(error: Any) -> tuple[str, str]:
    value, rule, limit = error.instance, error.validator, error.validator_value
    if rule == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        return f"must be {' or '.join(TYPES[kind] for kind in kinds)}, not {_shown(value)}", ""
    if rule == "enum":
        hint = nearest(value, limit) if isinstance(value, str) else ""
        return f"{_shown(value)} is not one of {', '.join(limit)}", hint
    if rule in ("minimum", "maximum"):
        low, high = error.schema["minimum"], error.schema["maximum"]
        return f"must be from {low} to {high}, {_shown(value)} is not", ""
    if rule == "minItems":
        return f"needs at least {limit} item{'s' if limit > 1 else ''}", ""
    if rule == "minLength":
        return "must not be empty", ""
    return f"{_shown(value)} does not match {limit}", ""


def _shown(value: object) -> str:
    """A value as it stands in the file, cut where it is long."""
    if isinstance(value, (dict, list)):
        return TYPES["object" if isinstance(value, dict) else "array"]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."

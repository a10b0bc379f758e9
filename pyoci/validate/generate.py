"""Build time only: turns schemas/ into quick checks for every create, and a bundle for the reports.

Writes _accept.py (config and process of Linux containers), _accept_rest.py (other platforms, state, features; loaded
when met) and _schemas.json. Knows the part of JSON schema (draft-04) that schemas/ uses and refuses any other word, so
that no rule is lost in silence. jsonschema reads the same schemas; a property-based test holds the two together.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
ROOTS = {"config": "#/definitions/config", "process": "#/definitions/config/definitions/process"}
ELSEWHERE = "#/definitions/config-platforms/definitions/"
REST = {
    "state": "#/definitions/state",
    "features": "#/definitions/features",
    **{name: ELSEWHERE + name for name in ("freebsd", "solaris", "vm", "windows", "zos")},
}
# Properties that engines hardly ever write: their checks are loaded when met.
RARE = {
    "consoleSize", "execCPUAffinity", "hugepageLimits", "intelRdt", "ioPriority", "memoryPolicy", "netDevices",
    "network", "personality", "rdma", "scheduler", "timeOffsets",
}  # fmt: skip
SILENT = {"title", "spec", "definitions", "$schema"}
HEADER = '''\
"""Generated from schemas/ by pyoci.validate.generate: whether a parsed document fits its schema."""
# mypy: ignore-errors

_STRINGS = {str}


def _match(pattern, text):
    import re  # the properties whose patterns need it are rare

    return re.search(pattern, text) is not None


def _rest(name, value):
    from pyoci.validate import _accept_rest

    return getattr(_accept_rest, name)(value)
'''


def bundle(directory: Path) -> Schema:
    """All schemas of a directory as one document: each file under definitions/, references made to fit."""
    definitions = {}
    for path in sorted(directory.glob("*.json")):
        name = path.stem
        text = path.read_text("utf-8").replace('"$ref": "#/', f'"$ref": "{name}.json#/')
        definitions[name] = json.loads(re.sub(r'"\$ref": "([\w-]+)\.json#/', r'"$ref": "#/definitions/\1/', text))
    return {"$schema": "http://json-schema.org/draft-04/schema#", "definitions": definitions}


class _Generator:
    """Writes one expression for each object the schemas describe: small to load, and it stops at the first no."""

    def __init__(self, whole: Schema, rare: dict[str, Schema] | None = None) -> None:
        self.whole = whole
        self.rare = rare
        self.names: dict[str, str] = {}
        self.texts: list[str] = []

    def resolve(self, pointer: str) -> Schema:
        place = self.whole
        for step in pointer[2:].split("/"):
            place = place[step]
        return place

    def named(self, kind: str, schema: Schema, write: Any) -> str:
        """The name of the text that `write` makes of a schema; written once."""
        key = kind + json.dumps(schema, sort_keys=True)
        if key not in self.names:
            self.names[key] = f"_{kind}{len(self.names)}"
            self.texts.append(write(self.names[key], schema))
        return self.names[key]

    def object_text(self, name: str, schema: Schema) -> str:
        required, terms = schema.get("required", []), ["type(v) is dict"]
        for word, part in schema.get("properties", {}).items():
            if self.rare is not None and word in RARE and self.rare.setdefault(word, part) is part:
                terms.append(f"({word!r} not in v or _rest({word!r}, v[{word!r}]))")
            elif word in required:  # a missing one is None, which fits no type
                terms.append(self.fits(part, f"v.get({word!r})"))
            else:
                terms.append(f"({word!r} not in v or {self.fits(part, f'v[{word!r}]')})")
        if "additionalProperties" in schema:
            terms.append(self.each(schema["additionalProperties"], "v.values()"))
        return f"def {name}(v):\n    return (\n        " + "\n        and ".join(terms) + "\n    )\n"

    def item_text(self, name: str, schema: Schema) -> str:
        return f"def {name}(v):\n    return {self.fits(schema, 'v')}\n"

    def each(self, schema: Schema, items: str) -> str:
        """An expression: every item of an iterable fits."""
        while "$ref" in schema:
            schema = self.resolve(schema["$ref"])
        schema = {word: value for word, value in schema.items() if word not in SILENT}
        if schema == {"type": "string"}:
            return f"_STRINGS.issuperset(map(type, {items}))"
        if schema["type"] == "object":
            return f"all(map({self.named('object', schema, self.object_text)}, {items}))"
        return f"all(map({self.named('item', schema, self.item_text)}, {items}))"

    def fits(self, schema: Schema, value: str) -> str:
        """An expression: the value (itself an expression, cheap to repeat once) fits the schema."""
        while "$ref" in schema:
            if schema["$ref"].startswith(ELSEWHERE):
                return f"_rest({schema['$ref'][len(ELSEWHERE) :]!r}, {value})"
            schema = self.resolve(schema["$ref"])
        schema = {word: part for word, part in schema.items() if word not in SILENT}
        kinds = schema.pop("type")
        if isinstance(kinds, list):
            (kind,) = (word for word in kinds if word != "null")
            return f"({value} is None or {self.fits({**schema, 'type': kind}, value)})"
        terms = getattr(self, "fits_" + kinds)(schema, value)
        if schema:
            raise SystemExit(f"generate: {kinds} with {sorted(schema)} is more than this generator knows")
        return " and ".join(terms)

    def fits_boolean(self, _schema: Schema, value: str) -> list[str]:
        return [f"type({value}) is bool"]

    def fits_integer(self, schema: Schema, value: str) -> list[str]:
        return [f"type(w := {value}) is int", f"{schema.pop('minimum')} <= w <= {schema.pop('maximum')}"]

    def fits_string(self, schema: Schema, value: str) -> list[str]:
        terms = [f"type({f'w := {value}' if schema else value}) is str"]
        if "enum" in schema:
            terms.append(f"w in {{{', '.join(map(repr, sorted(schema.pop('enum'))))}}}")
        if "minLength" in schema:
            terms.append(f"len(w) >= {schema.pop('minLength')}")
        if "pattern" in schema:
            terms += self.fits_pattern(schema.pop("pattern"))
        return terms

    def fits_pattern(self, pattern: str) -> list[str]:
        """Terms that are true where the pattern is found in w; the usual form without re."""
        simple = re.fullmatch(r"\^(\w*)\[([\w, -]+)\]([*+])\$", pattern)
        if not simple:
            return [f"_match({pattern!r}, w)"]
        prefix, allowed, count = simple.groups()
        for start, end in (("A", "Z"), ("0", "9")):
            allowed = allowed.replace(f"{start}-{end}", "".join(map(chr, range(ord(start), ord(end) + 1))))
        # `$` also matches before a newline at the end, here as in re and so in jsonschema.
        terms = [f"(w := w[:-1] if w[-1:] == '\\n' else w).startswith({prefix!r})"] if prefix else []
        terms += [f"len(w) > {len(prefix)}"] if count == "+" else []
        rest = f"w[{len(prefix)}:]" if prefix else "(w[:-1] if w[-1:] == '\\n' else w)"
        return [*terms, f"not {rest}.strip({allowed!r})"]

    def fits_array(self, schema: Schema, value: str) -> list[str]:
        length = [f"len({value}) >= {schema.pop('minItems')}"] if "minItems" in schema else []
        return [f"type({value}) is list", *length, self.each(schema.pop("items"), value)]

    def fits_object(self, schema: Schema, value: str) -> list[str]:
        if not schema:
            return [f"type({value}) is dict"]
        parts: Schema = {}
        for word in ("properties", "required", "additionalProperties"):
            if word in schema:
                parts[word] = schema.pop(word)
        return [f"{self.named('object', parts, self.object_text)}({value})"]


def accept_sources(whole: Schema) -> tuple[str, str]:
    """The texts of _accept.py and _accept_rest.py."""
    rare: dict[str, Schema] = {}
    first = _module(_Generator(whole, rare), {name: {"$ref": pointer} for name, pointer in ROOTS.items()})
    found = dict(rare)
    second = _module(_Generator(whole), {**{name: {"$ref": pointer} for name, pointer in REST.items()}, **found})
    return first, second


def _module(generator: _Generator, roots: dict[str, Schema]) -> str:
    ends = []
    for name, schema in roots.items():
        while "$ref" in schema:
            schema = generator.resolve(schema["$ref"])
        ends.append(f"def {name}(value: object) -> bool:\n    return {generator.fits(schema, 'value')}\n")
    return "\n\n".join([HEADER, *generator.texts, *ends])


def write(schemas: Path = SCHEMAS, target: Path = HERE) -> None:
    """Writes the generated files into a directory."""
    whole = bundle(schemas)
    first, second = accept_sources(whole)
    texts = {"_accept.py": first, "_accept_rest.py": second, "_schemas.json": json.dumps(whole, indent=1) + "\n"}
    for name, text in texts.items():
        scratch = target / f".{name}.{os.getpid()}"
        scratch.write_text(text, "utf-8")
        scratch.replace(target / name)  # whole or not at all: tests run in parallel


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))

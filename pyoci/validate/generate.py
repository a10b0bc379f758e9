"""Build time only: turns schemas/ into _accept.py, quick checks for every create, and _schemas.json, for the reports.

Knows the part of JSON schema (draft-04) that schemas/ uses and refuses any other word, so that no rule is lost in
silence. jsonschema reads the same schemas; a property-based test holds the two together.
"""

import json
import re
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
ROOTS = {
    "config": "#/definitions/config",
    "process": "#/definitions/config/definitions/process",
    "state": "#/definitions/state",
    "features": "#/definitions/features",
}
SILENT = {"title", "spec", "definitions", "$schema"}
HEADER = '''\
"""Generated from schemas/ by pyoci.validate.generate: whether a parsed document fits its schema."""
# mypy: ignore-errors

_STRINGS = {str}


def _match(pattern, text):
    import re  # the properties whose patterns need it are rare

    return re.search(pattern, text) is not None
'''


def bundle(directory: Path) -> "Schema":
    """All schemas of a directory as one document: each file under definitions/, references made to fit."""
    definitions = {}
    for path in sorted(directory.glob("*.json")):
        name = path.stem
        text = path.read_text("utf-8").replace('"$ref": "#/', f'"$ref": "{name}.json#/')
        definitions[name] = json.loads(re.sub(r'"\$ref": "([\w-]+)\.json#/', r'"$ref": "#/definitions/\1/', text))
    return {"$schema": "http://json-schema.org/draft-04/schema#", "definitions": definitions}


class _Generator:
    """Writes one function for each object the schemas describe."""

    def __init__(self, whole: "Schema") -> None:
        self.whole = whole
        self.names: "dict[str, str]" = {}
        self.functions: "list[str]" = []

    def resolve(self, pointer: str) -> "Schema":
        place = self.whole
        for step in pointer[2:].split("/"):
            place = place[step]
        return place

    def function(self, schema: "Schema") -> str:
        """The name of the function that checks an object schema, written at the first call."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self.names:
            name = self.names[key] = f"_object{len(self.names)}"
            lines = [f"def {name}(v):", "    if type(v) is not dict:", "        return False"]
            required, names = schema.get("required", []), schema.get("properties", {})
            for word in required:
                lines += [f"    if {word!r} not in v:", "        return False"]
            for word, part in names.items():
                lines += [f"    if {word!r} in v:", f"        w = v[{word!r}]", *self.check(part, "w", "        ")]
            if "additionalProperties" in schema:
                lines += self.each(schema["additionalProperties"], "v.values()", "    ")
            self.functions.append("\n".join([*lines, "    return True"]) + "\n")
        return self.names[key]

    def each(self, schema: "Schema", items: str, indent: str) -> "list[str]":
        """Lines that check every item of an iterable."""
        while "$ref" in schema:
            schema = self.resolve(schema["$ref"])
        if not set(schema) - SILENT - {"type"} and schema["type"] == "string":
            return [f"{indent}if not _STRINGS.issuperset(map(type, {items})):", f"{indent}    return False"]
        return [f"{indent}for x in {items}:", *self.check(schema, "x", indent + "    ")]

    def check(self, schema: "Schema", name: str, indent: str) -> "list[str]":
        """Lines that return False unless the variable `name` fits the schema."""
        while "$ref" in schema:
            schema = self.resolve(schema["$ref"])
        schema = {word: value for word, value in schema.items() if word not in SILENT}
        kinds = schema.pop("type")
        if isinstance(kinds, list):
            (kind,) = (word for word in kinds if word != "null")
            lines = self.check({**schema, "type": kind}, name, indent + "    ")
            return [f"{indent}if {name} is not None:", *lines]
        lines = getattr(self, "check_" + kinds)(schema, name, indent)
        if schema:
            raise SystemExit(f"generate: {kinds} with {sorted(schema)} is more than this generator knows")
        return list(lines)

    def refuse(self, conditions: "list[str]", indent: str) -> "list[str]":
        return [f"{indent}if {' or '.join(conditions)}:", f"{indent}    return False"]

    def check_boolean(self, _schema: "Schema", name: str, indent: str) -> "list[str]":
        return self.refuse([f"type({name}) is not bool"], indent)

    def check_integer(self, schema: "Schema", name: str, indent: str) -> "list[str]":
        low, high = schema.pop("minimum"), schema.pop("maximum")
        return self.refuse([f"type({name}) is not int", f"not {low} <= {name} <= {high}"], indent)

    def check_string(self, schema: "Schema", name: str, indent: str) -> "list[str]":
        conditions = [f"type({name}) is not str"]
        if "enum" in schema:
            conditions.append(f"{name} not in {{{', '.join(map(repr, sorted(schema.pop('enum'))))}}}")
        if "minLength" in schema:
            conditions.append(f"len({name}) < {schema.pop('minLength')}")
        if "pattern" in schema:
            conditions.append(self.pattern(schema.pop("pattern"), name))
        return self.refuse(conditions, indent)

    def pattern(self, pattern: str, name: str) -> str:
        """A condition that is true where the pattern is not found; the usual forms without re."""
        simple = re.fullmatch(r"\^(\w*)\[([\w, -]+)\]([*+])\$", pattern)
        if not simple:
            return f"not _match({pattern!r}, {name})"
        prefix, allowed, count = simple.groups()
        for start, end in (("A", "Z"), ("0", "9")):
            allowed = allowed.replace(f"{start}-{end}", "".join(map(chr, range(ord(start), ord(end) + 1))))
        # `$` also matches before a newline at the end, here as in re and so in jsonschema.
        rest = f"({name}[:-1] if {name}[-1:] == '\\n' else {name})[{len(prefix)}:]"
        condition = f"{rest}.strip({allowed!r})"
        if count == "+":
            condition += f" or not {rest}"
        return condition + (f" or not {name}.startswith({prefix!r})" if prefix else "")

    def check_array(self, schema: "Schema", name: str, indent: str) -> "list[str]":
        conditions = [f"type({name}) is not list"]
        if "minItems" in schema:
            conditions.append(f"len({name}) < {schema.pop('minItems')}")
        return self.refuse(conditions, indent) + self.each(schema.pop("items"), name, indent)

    def check_object(self, schema: "Schema", name: str, indent: str) -> "list[str]":
        if not schema:
            return self.refuse([f"type({name}) is not dict"], indent)
        function = self.function(schema)
        for word in ("properties", "required", "additionalProperties"):
            schema.pop(word, None)
        return self.refuse([f"not {function}({name})"], indent)


def accept_source(whole: "Schema") -> str:
    """The text of _accept.py."""
    generator = _Generator(whole)
    roots = []
    for name, pointer in ROOTS.items():
        lines = generator.check({"$ref": pointer}, "value", "    ")
        roots.append("\n".join([f"def {name}(value: object) -> bool:", *lines, "    return True"]) + "\n")
    return "\n\n".join([HEADER, *generator.functions, *roots])


def write(schemas: Path = SCHEMAS, target: Path = HERE) -> None:
    """Write _accept.py and _schemas.json into a directory."""
    whole = bundle(schemas)
    (target / "_accept.py").write_text(accept_source(whole), "utf-8")
    (target / "_schemas.json").write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))

"""The schemas themselves, and that the generated checks say what jsonschema says of any document."""

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validate_samples import DATA

from pyoci.validate import _accept, _accept_rest, generate
from pyoci.validate.schema import ROOTS, Reader

FILES = sorted(generate.SCHEMAS.glob("*.json"))
ACCEPT = {
    "config": _accept.config,
    "process": _accept.process,
    "state": _accept_rest.state,
    "features": _accept_rest.features,
}
READERS = {kind: Reader(kind) for kind in ROOTS}
VALIDATORS = {
    kind: jsonschema.Draft4Validator({"allOf": [reader.root], "definitions": reader.whole["definitions"]})
    for kind, reader in READERS.items()
}


def members(schema: Any, place: str) -> "list[tuple[str, dict[str, Any]]]":
    """Every property of a schema file with its place."""
    result: "list[tuple[str, dict[str, Any]]]" = []
    if isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            result.append((f"{place}/{name}", part))
        for word, part in schema.items():
            result += members(part, f"{place}/{word}")
    elif isinstance(schema, list):
        for part in schema:
            result += members(part, place)
    return result


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_property_has_a_title_and_a_section(path: Any) -> None:
    schema = json.loads(path.read_text("utf-8"))
    jsonschema.Draft4Validator.check_schema(schema)
    for place, part in members(schema, path.stem):
        assert part.get("title"), place
        assert part.get("spec", "").partition("#")[0].endswith(".md"), place


def test_generator_refuses_words_it_does_not_know() -> None:
    whole = generate.bundle(generate.SCHEMAS)
    whole["definitions"]["state"]["properties"]["id"]["maxLength"] = 5
    with pytest.raises(SystemExit, match="maxLength"):
        generate.accept_sources(whole)


# --- documents made from the schemas


def sound(kind: str, schema: "dict[str, Any]", rng: random.Random, depth: int = 0) -> Any:
    """A random value that fits a schema."""
    schema = READERS[kind].resolve(schema)
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    word = rng.choice(types)
    if word == "null":
        return None
    if word == "boolean":
        return rng.random() < 0.5
    if word == "integer":
        low, high = schema["minimum"], schema["maximum"]
        return rng.choice([low, high, rng.randint(low, high), min(max(rng.randint(0, 9), low), high)])
    if word == "string":
        return sound_string(schema, rng)
    if word == "array":
        count = rng.randint(schema.get("minItems", 0), 2 if depth < 9 else schema.get("minItems", 0))
        return [sound(kind, schema["items"], rng, depth + 1) for _ in range(count)]
    value = {}
    for name, part in schema.get("properties", {}).items():
        if name in schema.get("required", ()) or rng.random() < (0.35 if depth else 0.7):
            value[name] = sound(kind, part, rng, depth + 1)
    if "additionalProperties" in schema and rng.random() < 0.7:
        value[rng.choice(["a", "b.c", ""])] = sound(kind, schema["additionalProperties"], rng, depth + 1)
    if "additionalProperties" not in schema and rng.random() < 0.1:
        value["unknown"] = rng.choice([1, None, {}, "x"])
    return value


PATTERNS = {
    "^RLIMIT_[A-Z]+$": ["RLIMIT_CORE", "RLIMIT_X", "RLIMIT_NOFILE\n"],
    "^[0-9, -]*$": ["", "0-3,7", "0\n", "- ,"],
    "^[rwm]*$": ["", "rwm", "r\n"],
    "^[1-9][0-9]*[KMG]B$": ["2MB", "64KB", "1GB\n"],
    "^MB:[^\\n]*$": ["MB:", "MB:0=1", "MB:\n"],
    "^CAP_[A-Z_]+$": ["CAP_KILL", "CAP__"],
}


def sound_string(schema: "dict[str, Any]", rng: random.Random) -> str:
    if "enum" in schema:
        return str(rng.choice(schema["enum"]))
    if "pattern" in schema:
        return rng.choice(PATTERNS[schema["pattern"]])
    return rng.choice(["/", "x", "/a/b", "é"] + ([] if schema.get("minLength") else [""]))


ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    2.5,
    2**32,
    2**63,
    2**64,
    -(2**63) - 1,
    "",
    "x",
    "\n",
    [],
    {},
    [None],
    {"a": 1},
]


def damage(value: Any, rng: random.Random) -> Any:
    """The value with one place replaced, removed, or with a newline or letter more."""
    places: "list[tuple[Any, Any]]" = []
    rest = [value]
    while rest:
        holder = rest.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else []
        for key in keys:
            places.append((holder, key))
            rest.append(holder[key])
    if not places:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    old, way = holder[key], rng.random()
    if way < 0.2:
        del holder[key]
    elif way < 0.4 and isinstance(old, str):
        holder[key] = rng.choice([old + "\n", old + "x", old[1:], old.lower()])
    elif way < 0.6 and type(old) is int:
        holder[key] = rng.choice([-old, old + 1, old - 1, float(old), bool(old)])
    else:
        holder[key] = rng.choice(ODD)
    return value


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(ROOTS)), st.integers(0, 2**64), st.integers(0, 3))
def test_generated_checks_agree_with_jsonschema(kind: str, seed: int, faults: int) -> None:
    rng = random.Random(seed)
    document = sound(kind, READERS[kind].root, rng)
    assert ACCEPT[kind](document)
    for _ in range(faults):
        document = damage(document, rng)
    assert ACCEPT[kind](document) == VALIDATORS[kind].is_valid(document), json.dumps(document)


@pytest.mark.parametrize("kind", sorted(ROOTS))
@pytest.mark.parametrize("document", ODD, ids=repr)
def test_generated_checks_agree_on_anything(kind: str, document: Any) -> None:
    assert ACCEPT[kind](document) == VALIDATORS[kind].is_valid(document)


# --- against the official schemas


def official(kind: str) -> jsonschema.Draft4Validator:
    """The official schema, its files joined by names."""
    whole: "dict[str, Any]" = {}
    for path in (DATA / "spec-schemas").glob("*.json"):
        text = path.read_text("utf-8").replace('"$ref": "#/', f'"$ref": "{path.name}#/')
        text = text.replace('"$ref": "', '"$ref": "#/definitions/')
        whole[path.name] = json.loads(text.replace(".json#/", ".json/"))
    root = {"$ref": f"#/definitions/{kind}-schema.json"}
    for document in whole.values():
        document.pop("id", None)
    return jsonschema.Draft4Validator({"allOf": [root], "definitions": whole})


def allowed_differences(kind: str, error: jsonschema.ValidationError) -> bool:
    """Where the text wins over the official schema: the list in docs/validation.md."""
    path = [step for step in error.absolute_path if isinstance(step, str)]
    if kind == "features":
        return error.instance is None  # features.md: everything but the versions may be null
    if kind == "state":
        return path == ["status"] and error.validator == "enum"  # runtime.md: a runtime may have words of its own
    if path[-1:] == ["fileMode"] or path[:3] == ["freebsd", "devices", "mode"]:
        return error.validator == "maximum"  # a uint32 in the text
    if path == ["linux", "rootfsPropagation"]:
        return error.instance in ("rshared", "rslave", "rprivate", "runbindable")  # as docker writes it
    return path == ["linux", "resources", "pids"] and error.validator == "required"  # optional in the text


def test_the_list_of_differences_is_needed() -> None:
    """Each entry of the list is a document that ours takes and the official schema does not."""
    base = {"ociVersion": "1.3.0", "root": {"path": "x"}}
    device = {"type": "c", "path": "/d", "fileMode": 0o20666}
    documents = [
        ("features", {"ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0", "hooks": None}),
        ("state", {"ociVersion": "1.3.0", "id": "a", "status": "paused", "pid": 1, "bundle": "/"}),
        ("config", {**base, "linux": {"devices": [device]}}),
        ("config", {**base, "freebsd": {"devices": [{"path": "d", "mode": 0o1777}]}}),
        ("config", {**base, "linux": {"rootfsPropagation": "rslave"}}),
        ("config", {**base, "linux": {"resources": {"pids": {}}}}),
    ]
    for kind, document in documents:
        assert ACCEPT[kind](document), document
        errors = list(official(kind).iter_errors(document))
        assert errors and all(allowed_differences(kind, error) for error in errors), document


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(st.sampled_from(["config", "state", "features"]), st.integers(0, 2**64), st.integers(0, 2))
def test_ours_never_accepts_what_the_official_schema_refuses(kind: str, seed: int, faults: int) -> None:
    rng = random.Random(seed)
    document = sound(kind, READERS[kind].root, rng)
    for _ in range(faults):
        document = damage(document, rng)
    if ACCEPT[kind](document):
        for error in OFFICIAL[kind].iter_errors(document):
            assert allowed_differences(kind, error), f"{list(error.absolute_path)}: {error.message[:200]}"


OFFICIAL = {kind: official(kind) for kind in ("config", "state", "features")}

"""Mutates JSON as what it is: a tree, keys and words those of the schemas, values next to where rules change."""

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

_SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
NUMBERS = [0, 1, -1, 2, 7, 1000, 65535, 65536, *(2**bits - less for bits in (31, 32, 63, 64) for less in (0, 1, 2))]
ODD = [None, True, False, "", [], {}, 1.5, -0.0, 1e300, [[]], [None], "\0", "\ud7ff", "x" * 5000, {"": ""}]
PIECES = [*"/.\0\n=:,-@% \u2028é0²", "..", "/../..", "//", "proc", "self", "-1"]


def _vocabulary() -> "tuple[list[str], list[str]]":
    keys: "set[str]" = set()
    values: "set[str]" = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            keys.update(value.get("properties") or ())
            values.update(word for word in value.get("enum") or () if isinstance(word, str))
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    for path in sorted(_SCHEMAS.glob("*.json")):
        walk(json.loads(path.read_text()))
    return sorted(keys), sorted(values)


KEYS, WORDS = _vocabulary()


def _slots(value: Any, found: "list[tuple[Any, Any]]") -> "list[tuple[Any, Any]]":
    """Every place in a document, as its container and its key there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found.append((value, key))
        _slots(item, found)
    return found


def _text(rng: random.Random, text: str) -> str:
    at = rng.randint(0, len(text))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:at] + rng.choice(PIECES) + text[at:]
    if kind == 1:
        return text[:at] + text[at + rng.randint(1, 4) :]
    if kind == 2:
        return rng.choice(WORDS)
    if kind == 3:
        return text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0xD800), 0x10FFFF))) + text[at:]
    return text * 2


def _fresh(rng: random.Random, old: Any, document: Any) -> Any:
    kind = rng.randrange(4)
    if kind == 0:
        return deepcopy(rng.choice(ODD))
    if kind == 1:
        slots = _slots(document, [])
        container, key = rng.choice(slots) if slots else ([old], 0)
        return deepcopy(container[key])
    if isinstance(old, bool) or not isinstance(old, (int, str)):
        return rng.choice((rng.choice(NUMBERS), rng.choice(WORDS), not old))
    return rng.choice((old + 1, old - 1, rng.choice(NUMBERS))) if isinstance(old, int) else _text(rng, old)


def _change(rng: random.Random, document: Any) -> None:
    slots = _slots(document, [])
    if not slots:
        return
    container, key = rng.choice(slots)
    kind = rng.randrange(6)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(key, deepcopy(container[key]))
    elif kind == 1:
        container[rng.choice(KEYS)] = deepcopy(container[key])
    elif kind == 2 and isinstance(container[key], dict):
        container[key][rng.choice(KEYS)] = deepcopy(rng.choice(rng.choice((NUMBERS, WORDS, ODD))))
    else:
        container[key] = _fresh(rng, container[key], document)


def mutate(data: bytes, most: int, seed: int) -> "bytes | None":
    """The document with some places changed; None when it is none, or has grown too large."""
    rng = random.Random(seed)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if rng.randrange(16) == 0 or not isinstance(document, (dict, list)):
        return None
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        _change(rng, document)
    result = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return result if len(result) <= most else None

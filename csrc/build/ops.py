"""The functions that make a plan's steps (pyoci/plan/ops.py), and the types that mypy checks their calls by (ops.pyi).

Each takes the place in config.json and the operation's fields, all of them: one field by its place, several by name. In
the interpreter's program each call is the tuple that it would return (modules.py), so a step costs no call there.
"""

import re
from typing import Any

STEPS = {"OPERATIONS": "InitStep", "RUNTIME_OPERATIONS": "RuntimeStep"}
TYPES = {"i": "int", "s": "str", "l": "tuple[str, ...]", "b": "bytes", "j": "Any"}
POINT = ("i", "point")
CONSTANT = re.compile(r"^([A-Z_]+) = ", re.MULTILINE)

STUB = '''"""The types of ops.py. Generated from csrc/shared/plan.h by csrc/build/ops.py: do not edit."""

from typing import Any

# Classes here alone, for mypy: at run time they are the plain tuple and number. Only the functions below give them
class InitStep(tuple[int, str, tuple[int | str | tuple[str, ...] | bytes, ...]]): ...
class RuntimeStep(tuple[int, str, tuple[Any, ...]]): ...
class SyncPoint(int): ...

'''


def tables(words: str) -> dict[str, Any]:
    """The tables of operations in words.py's text, each by number."""
    found: dict[str, Any] = {}
    exec(words, found)
    return {**found, "OPERATIONS": dict(enumerate(found["OPERATIONS"]))}


def functions(words: str) -> str:
    """The functions, for ops.py."""
    text = "\n# A step is (number, place in config.json, fields)"
    for operations in [tables(words)[table] for table in STEPS]:
        for number, (name, _, fields) in operations.items():
            values = ", ".join([field for _, field in fields]) + ("," if len(fields) == 1 else "")
            parameters = _parameters("where", [field for _, field in fields])
            text += f"\ndef {name.lower()}({parameters}):\n    return {number}, where, ({values})\n"
    return text


def stub(operations: str, words: str) -> str:
    """ops.pyi, for ops.py's constants."""
    text = STUB
    for name in CONSTANT.findall(operations):
        text += f"{name}: {'SyncPoint' if name.startswith('SYNC_') else 'int'}\n"
    for table, made in STEPS.items():
        text += "\n"
        for name, _, fields in tables(words)[table].values():
            typed = [f"{field}: {'SyncPoint' if (kind, field) == POINT else TYPES[kind]}" for kind, field in fields]
            text += f"def {name.lower()}({_parameters('where: str', typed)}) -> {made}: ...\n"
    return text


def _parameters(where: str, fields: list[str]) -> str:
    return ", ".join([where, *(["*"] if len(fields) > 1 else []), *fields])

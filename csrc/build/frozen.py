"""Python code as C data, for the interpreter's program. What marshal would have to read, allocate and make unique at
every start lies ready in the file, and only what is touched is ever loaded; CPython does the same with the modules of
its own start, "deep-frozen". How objects look in each version of Python is in frozen.h: for others there is marshal.
"""

import dis
import inspect
import math
import sys
import sysconfig
from collections.abc import Callable
from types import CodeType
from typing import Any

# A debugging build of Python, and one without a global lock, have more in their objects
KNOWN = (
    sys.implementation.name == "cpython"
    and (3, 11) <= sys.version_info[:2] <= (3, 15)
    and not hasattr(sys, "gettotalrefcount")
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)

SINGLE = {None: "_Py_NoneStruct", True: "_Py_TrueStruct", False: "_Py_FalseStruct", ...: "_Py_EllipsisObject"}
# Kinds of variables (CPython's internal/pycore_code.h). Others tell debuggers and locals() more; no code of ours asks.
LOCAL, CELL, FREE = 0x20, 0x40, 0x80
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Unknown(Exception):
    """A constant of a kind that is not made here."""


class Frozen:
    """Collects objects, each once; an object comes after all that it names.

    lines: the C so far
    """

    def __init__(self) -> None:
        self.lines = ['#include "start/frozen.h"']
        self.known: dict[Any, str] = {}

    def add(self, value: Any) -> str:
        """A C expression for a constant or code. Errors: Unknown when its kind is not made here."""
        if isinstance(value, frozenset):  # of `in {...}`: sets are ordered by hashes, which differ by process
            value = tuple(sorted(value, key=repr))
        if type(value).__name__ == "code":
            return self._code(value)
        if value is None or value is ... or type(value) is bool:
            return f"((PyObject *)&{SINGLE[value]})"
        single = self._single(value)
        if single:
            return single
        if type(value) is tuple:
            items = [self.add(item) for item in value]
            return self._once(("tuple", *items), lambda name: self._tuple(name, items))
        if type(value) is float:
            return self._once(("float", value.hex()), lambda name: self._float(name, value))
        if type(value) is slice:
            parts = [self.add(part) for part in (value.start, value.stop, value.step)]
            return self._once(("slice", *parts), lambda name: self._slice(name, parts))
        make: Any = {str: self._text, bytes: self._bytes, int: self._integer}.get(type(value))
        if make is None:
            raise Unknown(f"a constant of type {type(value).__name__}")
        return self._once((type(value), value), lambda name: make(name, value))

    def _single(self, value: Any) -> str:
        """What Python has itself, in every process, once; "" when it is not of these."""
        if type(value) is int and -5 <= value <= 256:
            return f"SMALL({value})"
        if type(value) is str and len(value) <= 1 and value <= "\xff":
            return f"CHARACTER({ord(value)})" if value else "EMPTY_TEXT"
        if type(value) is bytes and len(value) <= 1:
            return f"BYTE({value[0]})" if value else "EMPTY_BYTES"
        return "EMPTY_TUPLE" if value == () and type(value) is tuple else ""

    def _once(self, key: Any, make: Callable[[str], str]) -> str:
        if key not in self.known:
            name = f"o{len(self.known)}"
            self.lines.append(make(name))
            self.known[key] = f"AT({name})"
        return self.known[key]

    def _text(self, name: str, value: str) -> str:
        size, largest = len(value), max(map(ord, value), default=0)
        if largest < 128:
            return f"ASCII({name}, {size}) = {{ CHARACTERS({size}, 1, 1), {literal(value.encode())} }};"
        kind = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
        units = ", ".join(str(ord(character)) for character in value)
        return f"TEXT({name}, Py_UCS{kind}, {size}) = {{ WIDE({size}, {kind}), {{ {units} }} }};"

    def _bytes(self, name: str, value: bytes, where: str = "OBJECT") -> str:
        return f"BYTES({name}, {len(value)}) {where} = {{ SIZED(PyBytes_Type, {len(value)}), -1, {literal(value)} }};"

    def _integer(self, name: str, value: int) -> str:
        rest, digits, bits = abs(value), [], sys.int_info.bits_per_digit
        while rest:
            digits.append(str(rest & (1 << bits) - 1))
            rest >>= bits
        size, written = len(digits), ", ".join(digits) or "0"
        return f"INTEGER({name}, {size or 1}) = {{ INTEGER_HEAD({size}, {int(value < 0)}), {{ {written} }} }};"

    def _float(self, name: str, value: float) -> str:
        if not math.isfinite(value):
            raise Unknown("a float that C has no word for")
        return f"REAL({name}) = {{ {{ HEAD(PyFloat_Type), {value.hex()} }} }};"

    def _tuple(self, name: str, items: list[str]) -> str:
        size, written = len(items), ", ".join(items) or "NULL"
        return f"TUPLE({name}, {size or 1}) = {{ TUPLE_HEAD({size}), {{ {written} }} }};"

    def _slice(self, name: str, parts: list[str]) -> str:
        return f"SLICE({name}) = {{ {{ 0 }}, {{ HEAD(PySlice_Type), {', '.join(parts)} }} }};"

    def _code(self, code: CodeType) -> str:
        written = ", ".join(f".{field} = {value}" for field, value in self._fields(code).items())
        cells = [name for name in code.co_cellvars if name not in code.co_varnames]
        slots = len(code.co_varnames) + len(cells) + len(code.co_freevars) + code.co_stacksize
        written += f", FRAME({slots}, {len(cells)})"
        name, size = f"c{len(self.lines)}", len(code.co_code)
        self.lines.append(f"CODE({name}, {size}) = {{ {{ .ob_base = SIZED(PyCode_Type, {size // 2}), {written} }} }};")
        return f"AT({name})"

    def _fields(self, code: Any) -> dict[str, Any]:
        """What the members of PyCodeObject are called is mostly what Python calls them."""
        same = ("flags", "argcount", "posonlyargcount", "kwonlyargcount", "stacksize", "firstlineno", "nlocals")
        objects = ("consts", "names", "exceptiontable", "filename", "name", "qualname")
        cells = [name for name in code.co_cellvars if name not in code.co_varnames]
        kinds = [LOCAL | (CELL if name in code.co_cellvars else 0) for name in code.co_varnames]
        kinds += [CELL] * len(cells) + [FREE] * len(code.co_freevars)
        return {
            **{f"co_{field}": getattr(code, f"co_{field}") for field in same},
            **{f"co_{field}": self.add(getattr(code, f"co_{field}")) for field in objects},
            "co_nlocalsplus": len(kinds),
            "co_ncellvars": len(code.co_cellvars),
            "co_nfreevars": len(code.co_freevars),
            "co_localsplusnames": self.add((*code.co_varnames, *cells, *code.co_freevars)),
            "co_localspluskinds": self.add(bytes(kinds)),
            "co_linetable": self._lines(code.co_linetable),
            "_co_firsttraceable": self._first(code),
            "co_code_adaptive": literal(code._co_code_adaptive),
        }

    def _first(self, code: CodeType) -> int:
        """The instruction from which on debuggers look: of a generator the one after it was made, before which 3.15 has
        another of the same name."""
        instructions = code.co_code[::2]
        start = instructions.index(dis.opmap["RETURN_GENERATOR"]) if code.co_flags & GENERATORS else 0
        return instructions.index(dis.opmap["RESUME"], start)

    def _lines(self, table: bytes) -> str:
        name = f"l{len(self.lines)}"
        self.lines.append(self._bytes(name, table, "LINES"))
        return f"AT({name})"


def literal(data: bytes) -> str:
    """Bytes as a string of C."""
    return '"' + "".join(f"\\{byte:03o}" for byte in data) + '"'

"""Writes pyoci._shim, by which Python calls csrc/shim/shim.c: a function for each prototype of shim.h.

In C, a parameter is one of these, and in Python:

    int, unsigned ...                        an int that fits
    const char *name                         bytes without a NUL
    char *const *name                        a tuple of them
    const int *name, size_t count            a list or tuple of ints that fit; of long long, too
    const void *name, size_t size            a buffer (bytes ...), with its size
    void *name, size_t size                  a buffer that can be written to, with its size
    int *name                                no argument, but a result: the function gives a tuple, its own result first
    int name(void)                           nothing: asks whether what Python does at a signal has raised an exception

So no call from Python reads or writes what it should not. Other threads run meanwhile.
"""

import re
from typing import NamedTuple

from .compiler import source


class Kind(NamedTuple):
    """A kind of parameter: its type in Python ("" for what is no argument), and for one of the name {0}, given as {1},
    what C declares, converts and passes on."""

    type: str
    declared: str
    converted: str
    passed: str


def _unsigned(name: str, most: str) -> Kind:
    return Kind("int", "unsigned long long {0};", f"to_unsigned({{1}}, {most}, &{{0}})", f"({name}){{0}}")


def _numbers(name: str) -> Kind:
    declared = "SCOPED(free_numbers) struct numbers {0} = {{ 0 }};"
    return Kind("_Ints", declared, f"to_numbers({{1}}, sizeof({name}), &{{0}})", "{0}.items, {0}.count")


def _buffer(type: str, flags: str) -> Kind:
    declared = "SCOPED(PyBuffer_Release) Py_buffer {0} = {{ 0 }};"
    return Kind(type, declared, f"to_buffer({{1}}, {flags}, &{{0}})", "{0}.buf, (size_t){0}.len")


RESULT = Kind("", "int {0} = -1;", "", "&{0}")
INTERRUPTED = Kind("", "", "", "interrupted")
KINDS = {
    "int": Kind("int", "long long {0};", "to_signed({1}, INT_MIN, INT_MAX, &{0})", "(int){0}"),
    "unsigned": _unsigned("unsigned", "UINT_MAX"),
    "unsigned long": _unsigned("unsigned long", "ULONG_MAX"),
    "unsigned long long": _unsigned("unsigned long long", "ULLONG_MAX"),
    "const char *": Kind("bytes", "char *{0};", "to_string({1}, &{0})", "{0}"),
    "char *const *": Kind(
        "tuple[bytes, ...]", "SCOPED(free_strings) struct strings {0} = {{ 0 }};", "to_strings({1}, &{0})", "{0}.items"
    ),
    "int *": RESULT,
    "int(void)": INTERRUPTED,
    "const int *, size_t": _numbers("int"),
    "const long long *, size_t": _numbers("long long"),
    "const void *, size_t": _buffer("ReadableBuffer", "PyBUF_SIMPLE"),
    "void *, size_t": _buffer("WriteableBuffer", "PyBUF_WRITABLE"),
}

PARAMETER = re.compile(r"(.*?)\s*(\w+)((?:\(void\))?)")
PROTOTYPE = re.compile(r"int shim_(\w+)\((.*?)\);", re.DOTALL)


class Function(NamedTuple):
    """A prototype: the function's name in Python, all of it in C, and each parameter's name and kind."""

    name: str
    text: str
    parameters: "list[tuple[str, Kind]]"

    def arguments(self) -> "list[tuple[str, Kind]]":
        return [(name, kind) for name, kind in self.parameters if kind.type]

    def results(self) -> "list[str]":
        """The names of those that are not its own."""
        return [name for name, kind in self.parameters if kind is RESULT]

    def raises(self) -> bool:
        """Whether an exception may be set when it has returned."""
        return any(kind is INTERRUPTED for _, kind in self.parameters)


def functions() -> "list[Function]":
    """All of shim.h's, which holds nothing else."""
    with open(source("shim/shim.h"), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/|^#.*?$", "", file.read(), flags=re.DOTALL | re.MULTILINE)
    found = [Function(m[1], " ".join(m[0].split()), _parameters(m[2])) for m in PROTOTYPE.finditer(text)]
    rest = PROTOTYPE.sub("", text).split()
    if rest:
        raise ValueError(f"shim.h: this is no prototype of the shim: {' '.join(rest)}")
    return found


def _parameters(text: str) -> "list[tuple[str, Kind]]":
    """A pointer and the size_t that follows it are one."""
    found: "list[tuple[str, Kind]]" = []
    parts = [PARAMETER.fullmatch(part.strip()) for part in text.split(",") if part.strip() != "void"]
    types = [(part[1] + part[3], part[2]) for part in parts]
    for (type, name), (following, _) in zip(types, [*types[1:], ("", "")]):
        if type != "size_t":
            found.append((name, KINDS[f"{type}, size_t" if following == "size_t" else type]))
    return found


def _wrapper(function: Function) -> str:
    arguments, results = function.arguments(), function.results()
    declared = [kind.declared.format(name) for name, kind in function.parameters if kind.declared]
    tests = [f"!has(many, {len(arguments)})"]
    tests += [f"!{kind.converted.format(name, f'given[{n}]')}" for n, (name, kind) in enumerate(arguments)]
    passed = [kind.passed.format(name) for name, kind in function.parameters]
    result = "PyLong_FromLong(result)"
    if results:
        result = f'Py_BuildValue("(i{"i" * len(results)})", result, {", ".join(results)})'
    if function.raises():
        result = f"PyErr_Occurred() ? NULL : {result}"
    lines = "\n    ".join([*declared, "int result;"])
    return f"""
static PyObject *call_{function.name}(PyObject *module, PyObject *const *given, Py_ssize_t many)
{{
    {lines}

    (void)module;
    (void)given;
    if ({" || ".join(tests)})
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = shim_{function.name}({", ".join(passed)});
    Py_END_ALLOW_THREADS
    return {result};
}}
"""


def _signature(function: Function, arguments: "list[str]") -> str:
    """How it is called in Python, where the arguments have no names that a caller could use."""
    return f"{function.name}({', '.join([*arguments, '/'] if arguments else [])})"


def _entry(function: Function) -> str:
    signature = _signature(function, [name for name, _ in function.arguments()]) + "\\n--\\n\\n"  # for inspect, help
    return f"""    {{ "{function.name}", (PyCFunction)(void (*)(void))call_{function.name}, METH_FASTCALL,
      "{signature}{function.text}" }},
"""


def module() -> str:
    """The C file of the module."""
    known = functions()
    return f"""/* Generated from shim.h by build/shim.py: do not edit. */
#define PY_SSIZE_T_CLEAN
#include "shim/convert.h"
#include "shim/shim.h"
{"".join(_wrapper(one) for one in known)}
static PyMethodDef methods[] = {{
{"".join(_entry(one) for one in known)}    {{ NULL, NULL, 0, NULL }},
}};

static PyModuleDef_Slot slots[] = {{ {{ 0, NULL }} }};

static PyModuleDef definition = {{
    PyModuleDef_HEAD_INIT, "_shim", "The parent's half of the system calls", 0, methods, slots, NULL, NULL, NULL,
}};

PyMODINIT_FUNC PyInit__shim(void);
PyMODINIT_FUNC PyInit__shim(void) {{ return PyModuleDef_Init(&definition); }}
"""


def stub() -> str:
    """The module's types, for checkers."""
    text = '"""The parent\'s half of the system calls. Generated by csrc/build/shim.py: do not edit."""\n\n'
    text += "from _typeshed import ReadableBuffer, WriteableBuffer\n\n_Ints = list[int] | tuple[int, ...]\n\n"
    for one in functions():
        result = f"tuple[int{', int' * len(one.results())}]" if one.results() else "int"
        arguments = [f"{name}: {kind.type}" for name, kind in one.arguments()]
        text += f"def {_signature(one, arguments)} -> {result}: ...\n"
    return text

"""Code in the interpreter's program, where it is C data (csrc/build/frozen.py), is the code that was compiled."""

import ast
import importlib.util
import math
import mmap
import runpy
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from csrc.build import modules

HOME = Path(__file__).parents[2]
BUILD = runpy.run_path(str(HOME / "csrc" / "build" / "frozen.py"))
pytestmark = [
    pytest.mark.skipif(not BUILD["KNOWN"], reason="this Python's objects are not known: its modules are marshalled"),
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler"),
]
ATTRIBUTES = [name for name in dir(CodeType) if name.startswith("co_") and name not in ("co_lnotab", "co_consts")]
# A little of everything that a compiler makes constants of, and every kind of variable
SOURCE = '''
"""Words."""
import sys
small, large, negative, none = 7, 1 << 200, -(1 << 70), 0
real, minus, zero = 1.5e-7, -0.0, 0.0
texts = ("", "a", "µ", "\\ufeff", "\U0001f40d", "with \\" and \\\\ and \\0 and ??/", "x" * 9)
raw = (b"", b"\\0\\1\\xff\\"", ())
deep = (1, (2.5, ("three", None, True, False, ...)))
def outer(a, /, b, *rest, key=3, **more):
    local = a
    def inner(c):
        nonlocal local
        local += c + b
        return lambda: (local, a, rest, key, more)
    return inner
def generate(top):
    try:
        for number in range(top):
            yield from (number * n for n in range(2))
    except ValueError as problem:
        raise KeyError("no") from problem
    finally:
        sys.intern("end")
async def later():
    async with None as thing:
        return [x async for x in thing]
class Base:
    def who(self):
        return "base"
class Child(Base):
    word: int = 5
    def who(self):
        return "child of " + super().who() + f"{self.word:>3}"
def member(x):
    return x in {"one", "two", "three"}, x in {1, 2}, x in {None, "two", 3}
def cells(a):
    plain = a
    def inner(free=1):
        own = free
        def deepest():
            return own, plain
        return sorted(locals()), deepest()
    return inner()
members = member("two"), member(2), member("four")
results = (cells(8), outer(1, 2, 3, z=4)(5)(), list(generate(3)), Child().who(), members)
'''


def frozen(codes: "list[CodeType]", place: Path) -> "list[CodeType]":
    """What a program finds whose data they are."""
    build = BUILD["Frozen"]()
    found = [build.add(code) for code in codes]
    text = (
        "\n".join(build.lines)
        + f"""
    static PyObject *codes[] = {{ {", ".join(found)} }};
    static struct PyModuleDef module = {{ PyModuleDef_HEAD_INIT, .m_name = "kept", .m_size = -1 }};
    PyMODINIT_FUNC PyInit_kept(void)
    {{
        PyObject *made = PyModule_Create(&module), *list = PyList_New(0);
        for (size_t n = 0; n < sizeof codes / sizeof *codes; n++)
            PyList_Append(list, codes[n]);
        PyModule_AddObject(made, "codes", list);
        return made;
    }}
    """
    )
    source, library = place / "kept.c", place / f"kept{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(text)
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-isystem{sysconfig.get_path('include')}"]
    flags.append(f"-I{HOME / 'csrc'}")
    done = subprocess.run(["cc", *flags, "-o", str(library), str(source)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("kept", library)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.codes)


def pairs(ours: CodeType, theirs: CodeType) -> "Iterator[tuple[CodeType, CodeType]]":
    yield ours, theirs
    for one, other in zip(ours.co_consts, theirs.co_consts):
        if isinstance(other, CodeType):
            yield from pairs(one, other)


def kinds(constant: object) -> object:
    """A constant with all types and signs, which == would not tell apart."""
    if isinstance(constant, (frozenset, tuple)):
        return [kinds(item) for item in (sorted(constant, key=repr) if isinstance(constant, frozenset) else constant)]
    sign = math.copysign(1, constant) if isinstance(constant, float) else 0
    return type(constant), sign, "code" if isinstance(constant, CodeType) else constant


def different(one: CodeType, other: CodeType) -> "list[str]":
    """Attributes in which they differ."""
    values = [(name, getattr(one, name), getattr(other, name)) for name in ATTRIBUTES]
    return [name for name, ours, theirs in values if ours != theirs and not callable(theirs)]


def traced(code: CodeType, names: "dict[str, Any]") -> "list[tuple[str, str, int]]":
    """Runs code; what a debugger sees of it, and not of finalizers of other tests' garbage."""
    events = []

    def look(frame: Any, event: str, _: object) -> Any:
        if frame.f_code.co_filename == code.co_filename:
            events.append((event, frame.f_code.co_name, frame.f_lineno))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        exec(code, names)
    finally:
        sys.settrace(before)
    return events


def test_every_attribute_and_what_it_does(tmp_path: Path) -> None:
    theirs = compile(SOURCE, "<source>", "exec")
    (ours,) = frozen([theirs], tmp_path)
    for one, other in pairs(ours, theirs):
        assert not different(one, other), other.co_name
        assert kinds(one.co_consts) == kinds(other.co_consts), other.co_name
        assert list(one.co_positions()) == list(other.co_positions())  # type: ignore[attr-defined]
    one, other = {"__name__": "kept"}, {"__name__": "kept"}
    assert traced(ours, one) == traced(theirs, other)
    assert one["results"] == other["results"] and one["texts"] == other["texts"] and one["deep"] == other["deep"]
    assert one["large"] == 1 << 200 and one["negative"] == -(1 << 70)


def test_all_of_pyoci(tmp_path: Path) -> None:
    files = sorted((HOME / "pyoci").rglob("*.py"))
    codes = [compile(file.read_bytes(), str(file), "exec", optimize=2, dont_inherit=True) for file in files]
    ours = frozen(codes, tmp_path)
    assert len(ours) == len(codes) > 100
    for mine, theirs in zip(ours, codes):
        for one, other in pairs(mine, theirs):
            assert not different(one, other), (other.co_filename, other.co_name)
            assert kinds(one.co_consts) == kinds(other.co_consts), (other.co_filename, other.co_name)


def test_whole_pages_are_given_back() -> None:
    """The first and the last object share no page with others: of an instruction that lay across, one half would be as
    the file has it, the other as the interpreter has learned it, say "by the pointer that follows", and no pointer."""
    program = HOME / "pyoci" / "programs" / "interpreter"
    if not program.exists() or not shutil.which("readelf"):
        pytest.skip("no program of our own, or no readelf")
    said = subprocess.run(["readelf", "-SW", program], check=True, capture_output=True, text=True).stdout
    sections = [line.partition("]")[2].split() for line in said.splitlines()]
    (found,) = [words for words in sections if words[:1] == ["pyoci_frozen"]]
    address, size = int(found[2], 16), int(found[4], 16)
    assert (address % mmap.PAGESIZE, size % mmap.PAGESIZE) == (0, 0)


def test_what_has_no_place_is_said() -> None:
    for source in ("1j", "1e999"):
        with pytest.raises(BUILD["Unknown"]):
            BUILD["Frozen"]().add(compile(source, "<source>", "eval"))


def test_a_class_that_is_made_of_its_annotations_keeps_them() -> None:
    """The build leaves annotations out, and the fields of these classes are theirs."""
    source = """
import dataclasses, typing
class Plain:
    field: int
    other: int = 1
@dataclasses.dataclass
class Data:
    field: int
class Pair(typing.NamedTuple):
    first: int
class Keys(typing.TypedDict, total=False):
    key: int
"""
    tree = ast.fix_missing_locations(modules.Lean().visit(ast.parse(source)))
    names: "dict[str, Any]" = {"__name__": "m"}
    exec(compile(tree, "<source>", "exec"), names)
    assert not getattr(names["Plain"], "__annotations__", {}) and names["Plain"].other == 1
    assert names["Data"](field=1).field == 1
    assert names["Pair"](first=1) == (1,)
    assert set(names["Keys"].__annotations__) == {"key"}

"""The interpreter's program (interpreter.c): Python, as it is here, with pyoci's modules in it.

How it starts is one of three, the quickest that works here:

    frozen  Python's static library, pyoci's code as C data (frozen.h)
    linked  Python's library, static or shared, pyoci's code marshalled
    stock   no program of our own: the launcher starts the stock interpreter

PYOCI_START names one that it has to be. docs/python.md says what each version of Python gets.
"""

import importlib
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from typing import Any

from . import frozen, shim, trial
from .compiler import CC, call, cflags, compile_c, environment, source, write
from .modules import module_table

STARTS = ("frozen", "linked", "stock")
KNOWN = ((3, 11), (3, 15))  # the versions whose start somebody has looked at, oldest and newest
# Functions of Python's in whose place interpreter.c has its own
WRAPPED = ("_Py_Deepfreeze_Init", "_PyGC_Init", "PyCodec_LookupError", "_PyCodec_EncodeText", "_PyCodec_DecodeText")
# Modules whose objects Debian leaves out of Python's static library, or whose libraries it does not name; and
# pyexpat: its library would be loaded at each start, and nobody here reads XML
OPTIONAL = ("pyexpat", "_md5", "_sha1", "_sha2", "_sha3", "_blake2", "_hmac", "_zstd")


def wanted() -> str:
    """The start that PYOCI_START names, or ""."""
    name = os.environ.get("PYOCI_START", "")
    if name and name not in STARTS:
        sys.exit(f"pyoci: PYOCI_START={name}: it is one of {', '.join(STARTS)}")
    return name


def unknown() -> str:
    """Why this Python gets the stock start, or ""."""
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython"
    if not KNOWN[0] <= version <= KNOWN[1]:
        return f"nobody has looked at how Python {version[0]}.{version[1]} starts (docs/python.md has the list)"
    return ""


def python() -> dict[str, str]:
    """Where the Python lies that starts pyoci: this one or, in a cross build, the target's, which must be of the same
    version, since it runs the bytecode of this one."""
    if not trial.foreign():
        return {
            "PYTHON": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
            "PREFIX": sys.base_prefix,
            "EXEC_PREFIX": sys.base_exec_prefix,
            "PLATLIBDIR": sys.platlibdir,
            "STDLIB": sysconfig.get_path("stdlib"),
        }
    its = target()
    return {
        "PYTHON": f"{its['BINDIR']}/python{its['VERSION']}",
        "PREFIX": its["prefix"],
        "EXEC_PREFIX": its["exec_prefix"],
        "PLATLIBDIR": its["PLATLIBDIR"],
        "STDLIB": its["LIBDEST"],
    }


def target() -> dict[str, Any]:
    """What the target's Python says of itself: the file that _PYTHON_SYSCONFIGDATA_NAME names."""
    name = os.environ.get("_PYTHON_SYSCONFIGDATA_NAME", "")
    try:
        its: dict[str, Any] = importlib.import_module(name or "_sysconfigdata").build_time_vars
    except ImportError:
        sys.exit(f"pyoci: a cross build needs the target's _sysconfigdata_*.py on PYTHONPATH, not {name or 'none'}")
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if its["VERSION"] != here:
        sys.exit(f"pyoci: the target has Python {its['VERSION']}; build with that version, not with {here}")
    return its


def variable(name: str) -> str:
    """One of the variables that Python was built with, "" when it has none of that name."""
    return (target().get(name) if trial.foreign() else sysconfig.get_config_var(name)) or ""


def sysroot() -> str:
    """Where the files of a cross build's target lie: what --sysroot= says."""
    words = [*CC, *environment("CPPFLAGS", "CFLAGS")] if trial.foreign() else []
    return next((word[len("--sysroot=") :].rstrip("/") for word in words if word.startswith("--sysroot=")), "")


def includes() -> list[str]:
    """Where Python's headers are."""
    if trial.foreign():
        return [sysroot() + target()["INCLUDEPY"]]
    return sorted({sysconfig.get_path("include"), sysconfig.get_path("platinclude")})


def stock() -> str:
    """The stock interpreter."""
    return python()["PYTHON"]


def packages() -> str:
    """Where cffi and jsonschema may be, beside our own directory, which comes first. All after the standard library."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [f"{python()['PREFIX']}/lib/{version}/site-packages", f"/usr/local/lib/{version}/dist-packages"]
    return ":".join([*places, "/usr/lib/python3/dist-packages"])


def places() -> list[str]:
    """The macros that tell interpreter.c where this Python lies."""
    values = {
        **python(),
        "EXTENSIONS": variable("DESTSHARED"),
        "SUFFIX": variable("EXT_SUFFIX"),
        "PACKAGES": packages(),
    }
    return [f'-DPYOCI_{name}="{value}"' for name, value in values.items()]


def libraries() -> Iterator[tuple[str, list[str], bool]]:
    """The ways to link Python, the best first: (start, words, are OPTIONAL modules left out). The static library
    needs no search at start; the shared one is taken from no other place than the interpreter's own. Objects point to
    their types, of which a shared library may see another copy than the program: so nothing is frozen there."""
    names = ("LIBPL", "LIBRARY", "LIBDIR", "LDVERSION", "LIBS", "MODLIBS", "SYSLIBS")
    place, archive, directory, version, *others = (variable(name) for name in names)
    others = [word for text in others for word in text.split() if word.startswith("-l")]
    static = [sysroot() + os.path.join(place, archive), "-Wl,--export-dynamic", "-Wl,--as-needed", *others]
    if os.path.exists(static[0]):
        for start in ("frozen", "linked"):
            if start == "linked" or (frozen.KNOWN and not variable("Py_GIL_DISABLED")):
                yield start, static, False
                yield start, static, True
    yield "linked", [f"-L{sysroot()}{directory}", f"-lpython{version}", f"-Wl,-rpath,{directory}"], False


def module_list(scratch: str) -> str | None:
    """The C file of Python's list of built-in modules without the OPTIONAL; None where Python's own is not there."""
    path = sysroot() + os.path.join(variable("LIBPL"), "config.c")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return None
    names = "|".join(OPTIONAL)
    line = rf'^\s*\{{"(?:{names})",.*\}},\n|^extern PyObject\s*\*\s*PyInit_(?:{names})\(void\);\n'
    text = re.sub(line, "", text, flags=re.MULTILINE)
    write(os.path.join(scratch, "config.c"), text.encode())
    return os.path.join(scratch, "config.c")


class Builder:
    """Builds the program into a package directory, from objects in a scratch directory.

    flags: of a checkout's program; none for one that is to be installed
    """

    def __init__(self, package: str, scratch: str, flags: tuple[str, ...]) -> None:
        self.package, self.scratch, self.flags = package, scratch, flags
        self.output = os.path.join(package, "programs", "interpreter")
        self.objects: dict[str, str] = {}
        self.parts_of: dict[str, list[str]] = {}  # start: what it is linked of, which is made once
        self.said: list[str] = []  # what each attempt that failed was, and why

    def compiled(self, name: str, path: str, *flags: str) -> str:
        """The object of a C file, which is compiled once."""
        if name not in self.objects:
            self.objects[name] = os.path.join(self.scratch, f"{name}.o")
            words = [*(f"-isystem{place}" for place in includes()), "-fno-pie", "-pthread", *flags]
            compile_c(self.objects[name], [path], *words, scratch=self.scratch, link=False)
        return self.objects[name]

    def parts(self, start: str, lean: bool) -> list[str] | None:
        """The objects of a program, None where one of them cannot be had."""
        if start not in self.parts_of:
            self.parts_of[start] = self.make_parts(start)
        if not lean:
            return self.parts_of[start]
        path = module_list(self.scratch)
        return None if path is None else [*self.parts_of[start], self.compiled("config", path)]

    def make_parts(self, start: str) -> list[str]:
        """The objects of a program but for its list of built-in modules."""
        macros = [*places(), f'-DPYOCI_START="{start}"', *self.flags]
        found = [
            self.compiled(f"interpreter-{start}", source("start/interpreter.c"), *macros),
            self.compiled("import", source("start/import.c")),
            self.compiled("_native", shim.write_module(self.scratch)),
        ]
        found += [self.compiled("shim", source("shim/shim.c")), self.compiled("hook", source("shared/hook.c"))]
        table, data = module_table(self.package, self.scratch, bool(self.flags), start == "frozen")
        return [*found, self.compiled(f"modules-{start}", table), self.compiled(f"data-{start}", data)]

    def build(self) -> str:
        """Tries one way after the other; the start of the program that works, "stock" when there is none."""
        why, only = unknown(), wanted()
        if why and only in ("", "stock"):
            self.said.append(why)
        elif only != "stock":
            for start, library, lean in libraries():
                if only in ("", start) and self.attempt(start, library, lean):
                    os.replace(self.output + ".new", self.output)
                    return start
        for name in (self.output, self.output + ".new"):
            if os.path.exists(name):
                os.unlink(name)
        if only not in ("", "stock"):
            sys.exit(f"pyoci: PYOCI_START={only} cannot be had here:\n" + "\n".join(self.said))
        return "stock"

    def attempt(self, start: str, library: list[str], lean: bool) -> bool:
        """Links one program and tries it."""
        parts = self.parts(start, lean)
        if parts is None:
            return False
        command = [*CC, *cflags(self.scratch), *environment("LDFLAGS"), "-pthread", "-no-pie", "-s"]
        command += ["-Wl,-z,relro,-z,now"]
        command += [f"-Wl,--wrap={name}" for name in WRAPPED]
        command += ["-o", self.output + ".new", *parts, *library]
        status, text = call(command)
        if status:
            lines = [line for line in text.splitlines() if "error" in line or "undefined" in line] or text.splitlines()
            self.said.append(f"{start}: {' '.join(library[:1])}: the linker failed: {' | '.join(lines[-2:])}")
            return False
        problem = "" if trial.foreign() else trial.problem([self.output + ".new", "0"], self.package)
        if problem:
            self.said.append(f"{start}: {problem}")
        return not problem


def build_interpreter(package: str, *flags: str) -> str:
    """Builds the program, and says what was tried in vain; returns its start (STARTS)."""
    with tempfile.TemporaryDirectory() as scratch:
        builder = Builder(package, scratch, flags)
        start = builder.build()
    for line in builder.said if start != "frozen" else ():
        sys.stderr.write(f"pyoci: tried {line}\n")
    return start

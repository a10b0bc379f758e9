"""How pyoci starts in its own interpreter (csrc/start/interpreter.c): pyoci's modules are part of that program, and of
Python only the first half has started. The other half, with codecs, streams and imports from files, follows by itself
when somebody imports, opens, prints or encodes by Python's means; hot commands have no need of it. With a
shared library it comes first: see there.

sys._xoptions["started"] is when the launcher was started: CLOCK_MONOTONIC, nanoseconds, a string.
"""

import _frozen_importlib
import _imp
import builtins
import gc
import posix
import sys

import _pyoci  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Optional

    Found = Optional[tuple[Any, bool, int]]  # code, is it a package's, when its source was changed (ns)

OURS: str = _pyoci.argv[0].rpartition("/pyoci/")[0]  # where the package is; the launcher gives the whole path
PATHS = [OURS, *_pyoci.PACKAGES.split(":")]
NATIVE = "pyoci._native"
CFFI = "_cffi_backend"
# Of hot commands and of containerd's plugin
EXTENSIONS = (CFFI, "_json", "_struct", "fcntl", "select", "termios", "_socket")
Module: "Any" = type(sys)
Spec: "Any" = _frozen_importlib.ModuleSpec
importlib: "Any" = _frozen_importlib
python_import: "Callable[[str, Any], ModuleType]" = importlib._find_and_load
python_from: "Callable[..., ModuleType]" = importlib._handle_fromlist


def load(name: str, importer: "Any") -> "ModuleType":
    """A module that is not of the program, or in a checkout any (csrc/start/import.c); one thread at a time."""
    found: "Found" = _pyoci.find(name)
    if _pyoci.TREE and name.startswith("pyoci"):
        found = current(name, found)
    if found is not None:
        code, is_package, _ = found
        module: "ModuleType" = _pyoci.own(name, code, is_package)
        return module
    if name in EXTENSIONS:
        origin = extension(name)
        if origin:
            spec = Spec(name, None, origin=origin)
            extension_module = create_cffi(spec) if name == CFFI else _imp.create_dynamic(spec)
            return finish(extension_module, spec, _imp.exec_dynamic)
    if _imp.is_builtin(name):
        spec = Spec(name, importlib.BuiltinImporter, origin="built-in")
        return finish(_imp.create_builtin(spec), spec, _imp.exec_builtin)
    complete()
    known = sys.modules.get(name)
    return python_import(name, importer) if known is None else known


def complete_spec(spec: "Any") -> "Any":
    """Each further import of a module asks whether this one goes on; without an answer an exception is made for it, and
    thrown away."""
    spec._initializing = False
    return spec


def create_cffi(spec: "Any") -> "ModuleType":
    """cffi wants one type of `_io`, to know Python's files by where C takes a FILE *, which none of our functions does.
    Before the second half that module is not there, and to make it costs half a million instructions."""
    if "_io" in sys.modules:
        return _imp.create_dynamic(spec)
    stand_in = sys.modules["_io"] = Module("_io")
    stand_in._IOBase = Later
    try:
        return _imp.create_dynamic(spec)
    finally:
        del sys.modules["_io"]


def finish(module: "ModuleType", spec: "Any", execute: "Callable[[ModuleType], Any]") -> "ModuleType":
    """The second half of an import of C code."""
    module.__spec__ = complete_spec(spec)
    sys.modules[spec.name] = module
    execute(module)
    if spec.name == NATIVE:
        sys.modules["pyoci"]._native = module  # type: ignore[attr-defined]
    return module


def from_package(package: "ModuleType", names: "tuple[str, ...]", importer: "Any") -> "ModuleType":
    """The modules among the names that `from package import ...` asks for. Python's own function of this name asks by
    getattr first, and throws the error away."""
    if package.__name__.partition(".")[0] != "pyoci":
        return python_from(package, names, importer)
    for name in names:
        if name not in package.__dict__:
            module = f"{package.__name__}.{name}"
            try:
                _pyoci.find_and_load(module, importer)
            except ModuleNotFoundError as problem:
                if problem.name != module:
                    raise  # else it is an attribute that the package finds by itself, or there is none
    return package


def extension(name: str) -> str:
    """The file of an extension module, which may lie in few places; "" when it does not."""
    for directory in (_pyoci.EXTENSIONS, *PATHS):
        file = f"{directory}/{name}{_pyoci.SUFFIX}"
        try:
            posix.stat(file)
        except OSError:
            continue
        return file
    return ""


def place_of(name: str) -> str:
    """A module's file, without its ending."""
    return (OURS if name.startswith("pyoci") else _pyoci.STDLIB) + "/" + name.replace(".", "/")


def current(name: str, found: "Found") -> "Found":
    """In a checkout: what the source says now, where it is another than the program was built with."""
    place = place_of(name)
    for file, is_package in ((f"{place}.py", False), (f"{place}/__init__.py", True)):
        try:
            changed = posix.stat(file).st_mtime_ns
        except OSError:
            continue
        if found is not None and found[2] == changed:
            return found
        fd = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC)
        text = posix.read(fd, posix.fstat(fd).st_size)
        posix.close(fd)
        return compile(text, file, "exec", dont_inherit=True), is_package, 0
    return None


class Later:
    """Stands for a standard stream until somebody uses it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def flush(self) -> None:
        """Nothing was written."""

    def __getattr__(self, name: str) -> "Any":
        complete()
        return getattr(getattr(sys, self.name), name)


def open_later(*args: "Any", **options: "Any") -> "Any":
    """Stands for open()."""
    complete()
    return builtins.open(*args, **options)


def complete() -> None:
    """The other half of Python's start, once. Raises ImportError where Python's library cannot be read: the start
    itself would print a page about it."""
    begins = _pyoci.HALVES and "encodings" not in sys.modules
    if begins and not posix.access(f"{_pyoci.STDLIB}/encodings/__init__.py", posix.R_OK):
        raise ImportError(f"no library in {_pyoci.STDLIB}", name="encodings")
    if _pyoci.complete():
        sys.path.extend(PATHS)


def start() -> None:
    """Makes up for what the second half would have brought, and runs the command."""
    gc.disable()  # a command lives for milliseconds
    for module in sys.modules.values():
        if module.__spec__ is not None:
            complete_spec(module.__spec__)
    _pyoci.begin(Spec, vars(Spec("", None)), f"{OURS}/", f"{_pyoci.STDLIB}/", load, from_package, bool(_pyoci.TREE))
    importlib._find_and_load, importlib._handle_fromlist = _pyoci.find_and_load, _pyoci.from_package
    importlib._lock_unlock_module = _pyoci.wait_for
    if _pyoci.HALVES:
        sys._xoptions = {"started": _pyoci.argv[1]}
        for name in ("stdin", "stdout", "stderr"):
            setattr(sys, name, Later(name))
        builtins.open = open_later
    else:
        sys.path.extend(PATHS)
    from pyoci.__main__ import run

    run(_pyoci.argv[2:])


start()

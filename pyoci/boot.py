"""How an installed pyoci starts: setup.py compiles this text, with the code of hot modules in MODULES, to start.pyc.

One file is read and nothing searched for, where importing from files would open a hundred. A checkout has __main__.py.
"""

import gc
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Optional

gc.disable()  # a command lives for milliseconds

MODULES: "dict[str, tuple[bool, bytes]]" = {}  # name: (is a package, marshalled code); written by setup.py
PACKAGE = sys.argv[0][: -len("/start.pyc")]  # the launcher gives the whole path


class Finder:
    """Imports from MODULES; what is not there is left to the others on sys.meta_path."""

    @staticmethod
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Optional[ModuleSpec]":
        """As importlib.abc.MetaPathFinder.find_spec."""
        entry = MODULES.get(name)
        if entry is None:
            return None
        place = PACKAGE + name[len("pyoci") :].replace(".", "/")
        origin = f"{place}/__init__.py" if entry[0] else f"{place}.py"
        spec = type(sys.__spec__)(name, Finder, origin=origin, is_package=entry[0])  # type: ignore[arg-type]
        spec.has_location = True
        if entry[0]:
            spec.submodule_search_locations = [place]
        return spec

    @staticmethod
    def create_module(spec: "ModuleSpec") -> None:
        """The default will do."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        """Runs a module's code."""
        exec(marshal.loads(MODULES[module.__name__][1]), module.__dict__)


def library_paths(own: str) -> "list[str]":
    """Where we were installed, then where the interpreter has its own packages: cffi may be one of them. It all comes
    after the standard library, and nothing of it is the environment's choice."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [
        own,
        f"{sys.prefix}/lib/{version}/site-packages",
        f"/usr/local/lib/{version}/dist-packages",
        "/usr/lib/python3/dist-packages",
    ]


def run() -> None:
    """Runs the command, and ends without the interpreter's farewell."""
    from pyoci.cli import main

    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 1
    posix._exit(status)


if __name__ == "__main__":
    sys.meta_path.insert(0, Finder)
    sys.path.extend(library_paths(PACKAGE[: -len("/pyoci")]))
    run()

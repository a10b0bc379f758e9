"""`version --check`: whether this installation works, as far as that shows without a container. The build asks, too."""

import posix
import sys

import pyoci
from pyoci.errors import Error
from pyoci.json import document
from pyoci.start.installation import LIBRARIES, reason

RUNNING = ("boot.py",)  # as __main__
DOCUMENT = '{"a":[1,-2.5,true,null,"\u00e9\\n"],"b":{}}'
BROKEN = (b'{"a":1,}', b'{"a":01}', b"[1", b'{"a":"\t"}')


def check() -> "list[str]":
    """Reads and writes JSON, and imports every module. Gives the libraries that are not here, each with what it is for;
    raises Error that names what does not work."""
    if document.dump(document.parse(DOCUMENT.encode())) != DOCUMENT:
        raise Error("JSON that was read and written again is not what it was", kind="internal")
    for text in BROKEN:
        try:
            document.parse(text)
        except Error:
            continue
        raise Error(f"the JSON parser accepts {text!r}", kind="internal")
    missing = set()
    for name in (*modules(), *LIBRARIES):  # some are imported only when they are used
        try:
            __import__(name)
        except ImportError as problem:  # a library of which only a part is there is not there
            wanted = (problem.name or "").partition(".")[0]
            if wanted not in LIBRARIES:
                raise Error(f"{name} cannot be imported: {problem}", kind="internal") from None
            library, _, purpose = LIBRARIES[wanted]
            if not purpose:
                raise Error(reason(problem), kind="missing") from None
            missing.add(f"{library}, {purpose}")
    return sorted(missing)


def modules() -> "list[str]":
    """The names of all modules of the package, sorted."""
    return sorted(_below(pyoci.__file__.rpartition("/")[0], "pyoci"))


def _below(directory: str, package: str) -> "list[str]":
    names = [package]
    for entry in posix.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            if entry.name.isidentifier() and not entry.name.startswith("__"):
                names += _below(entry.path, f"{package}.{entry.name}")
        elif entry.name.endswith(".py") and not entry.name.startswith("__") and entry.name not in RUNNING:
            names.append(f"{package}.{entry.name[:-3]}")
    return names


def start() -> str:
    """How this process was started: csrc/build/interpreter.py has the words."""
    known = sys.modules.get("_pyoci")
    return "stock" if known is None else f"{known.START}{'' if known.HALVES else ', whole'}"

"""Programs that help: CRIU. And the installation itself."""

from __future__ import annotations

from collections.abc import Iterator

from pyoci.checkpoint.criu import Criu, Directories, load_messages
from pyoci.doctor.check import Check, tried


def checks(criu: str, start: str, missing: list[str], place: str) -> Iterator[Check]:
    """What is asked about CRIU and this installation.

    criu: --criu; start: how commands start; missing: the libraries that are not here; place: a directory of ours
    """
    yield tried("checkpoint", "criu", lambda: _version(criu, place))
    cure = "build pyoci where it is installed (docs/install.md): a command then starts quicker"
    yield Check("installation", "start", not start.startswith("stock"), start, cure=cure)
    name, _, purpose = (missing or [""])[0].partition(", ")
    detail = "all there" if not missing else f"not installed: {'; '.join(missing)}"
    yield Check("installation", "libraries", not missing, detail, cure=f"pip install {name}, {purpose}")


def _version(criu: str, place: str) -> str:
    """Asks CRIU as `checkpoint` asks it."""
    messages = load_messages()
    directories = Directories(place, "")
    try:
        answer = Criu(criu, directories).run(messages.VERSION, "version", messages.Options())
    finally:
        directories.close()
    return f"{answer.version.major_number}.{answer.version.minor_number}"

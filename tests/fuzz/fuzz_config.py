"""config.json: whatever it holds there is a plan or an Error; a config that passes is the same after a round trip."""

import json
import os
from pathlib import Path
from typing import Any

from pyoci.cli import exec_process
from pyoci.container import create
from pyoci.container.state import Store
from pyoci.documents import spec_template
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.json.document import dump, parse
from pyoci.options import CreateOptions
from pyoci.plan import show
from pyoci.plan.compile_exec import compile_exec
from pyoci.plan.request import Request
from pyoci.validate import check_process, check_runnable_config

JSON = True
DATA = Path(__file__).resolve().parents[1] / "data"
_STORE = Store(f"{os.getcwd()}/state")


def seeds() -> "list[bytes]":
    """The spec's examples, what engines write, without their long seccomp profiles, and the template."""
    found = [dump(spec_template.config()).encode()]
    for path in sorted([*(DATA / "spec-examples/config/good").glob("*.json"), *(DATA / "callers").glob("*.json")]):
        document = json.loads(path.read_text())
        seccomp = (document.get("linux") or {}).get("seccomp")
        if seccomp:
            seccomp["syscalls"] = (seccomp.get("syscalls") or [])[:3]
        found.append(json.dumps(document).encode())
    return found


def _more(data: bytes) -> None:
    """Its process as `exec --process` would take it."""
    document = parse(data)
    process = document.get("process") if isinstance(document, dict) else None
    if isinstance(process, dict):
        exec_process.check(process)
        check_process(process)
        request = Request({"process": process, "linux": {}}, Host(), "/bundle", "c")
        compile_exec(request, os.getpid()).encode()


def test(data: bytes) -> None:
    """One document."""
    try:
        _more(data)
    except Error as refusal:
        assert str(refusal)

    def read(_path: str) -> "tuple[bytes, Any]":
        config = parse(data)
        check_runnable_config(config, raw=data)
        assert parse(dump(config).encode()) == config
        return data, config

    create.read_bundle = read
    for driver in ("cgroupfs", "systemd"):
        try:
            plan = create.compile_bundle(_STORE, "fuzz", CreateOptions("/tmp/bundle", detach=True), driver)[3]
            plan.encode()
            dump(show.document(plan))
            show.lines(plan)
        except Error as refusal:
            assert str(refusal)
            return

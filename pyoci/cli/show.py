"""The commands that only print or write a document: features, spec, plan."""

from __future__ import annotations

import os

from pyoci.cli.call import Call
from pyoci.cli.exec_process import from_file
from pyoci.cli.lifecycle import create_options
from pyoci.cli.output import show, write
from pyoci.documents import features as known
from pyoci.documents import spec_template
from pyoci.errors import Error
from pyoci.json.document import dump_pretty
from pyoci.options import ExecOptions, check_id
from pyoci.plan.model import Plan


def features(call: Call) -> int:
    """Prints what this runtime can do (runtime-spec features.md)."""
    show(dump_pretty(known.document(), "    ") + "\n")
    return 0


def spec(call: Call) -> int:
    """Writes a config.json to start from."""
    directory = call.path("bundle")
    path = f"{directory}/config.json" if directory else "config.json"
    config = spec_template.config()
    if call.yes("rootless"):
        config = spec_template.rootless(config, os.geteuid(), os.getegid())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o666)
    except FileExistsError:
        raise Error("File config.json exists. Remove it first", kind="exists") from None
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None
    try:
        write(fd, dump_pretty(config, "\t") + "\n")
    except OSError as problem:
        os.unlink(path)
        raise Error(f"write {path}", errno=problem.errno or 0) from None
    finally:
        os.close(fd)
    return 0


def plan(call: Call) -> int:
    """Prints what create, exec or delete would do, one step a line, or as JSON, and what is missing for it; changes
    nothing."""
    compiled = _compiled(call)
    if call.yes("json"):
        show(dump_pretty(compiled.document(), "  ") + "\n")
    else:
        show("".join(f"{line}\n" for line in compiled.lines()))
    return 0


def _compiled(call: Call) -> Plan:
    given = [name for name in ("exec", "delete") if call.text(name)]
    if len(given) > 1 or (call.text("process") and given != ["exec"]):
        hint = "--process describes the process of --exec"
        raise Error("--exec, --delete and a bundle are plans of their own", hint=hint, kind="refused")
    if call.text("delete"):
        return call.runtime().plan_delete(check_id(call.text("delete")))
    if not call.text("exec"):
        return call.runtime().plan(create_options(call))
    name, runtime = check_id(call.text("exec")), call.runtime()
    process = from_file(call.path("process")) if call.text("process") else runtime.config(name)["process"]
    return runtime.plan_exec(name, process, ExecOptions())

"""The commands that only print a document: features, plan."""

from __future__ import annotations

from pyoci.cli.call import Call
from pyoci.cli.exec_process import from_file
from pyoci.cli.lifecycle import create_options
from pyoci.cli.output import show
from pyoci.documents import features as known
from pyoci.errors import Error
from pyoci.json.document import dump_pretty
from pyoci.options import ExecOptions, check_id
from pyoci.plan.model import Plan


def features(call: Call) -> int:
    """Prints what this runtime can do (runtime-spec features.md)."""
    show(dump_pretty(known.document(), "    ") + "\n")
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

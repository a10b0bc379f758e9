"""The commands that only print a document: features, plan."""

from __future__ import annotations

from pyoci.cli.call import Call
from pyoci.cli.checkpoint import criu_options, restore_options
from pyoci.cli.exec_process import from_file
from pyoci.cli.lifecycle import create_options
from pyoci.cli.output import show
from pyoci.cli.update import from_file as resources_of
from pyoci.documents import features as known
from pyoci.errors import Error
from pyoci.json.document import dump_pretty
from pyoci.options import ExecOptions, check_id
from pyoci.plan.model import Plan


def features(call: Call) -> int:
    """Prints what this runtime can do (runtime-spec features.md)."""
    show(dump_pretty(known.document(), "    ") + "\n")
    return 0


# Flags that say more of one plan
_BELONG = {
    "exec": ("process", "cgroup", "ignore-paused"),
    "update": ("resources",),
    "restore": ("image-path", "work-path"),
}


def plan(call: Call) -> int:
    """Prints what a command would do, one step a line, or as JSON, and what is missing for it; changes nothing."""
    compiled = _compiled(call)
    if call.yes("json"):
        show(dump_pretty(compiled.document(), "  ") + "\n")
    else:
        show("".join(f"{line}\n" for line in compiled.lines()))
    return 0


def _compiled(call: Call) -> Plan:
    given = [name for name in (*_BELONG, "delete") if call.flags.get(name)]
    if len(given) > 1:
        words = "--exec, --update, --delete, --restore and a bundle are plans of their own"
        raise Error(words, hint="name one", kind="refused")
    plan = given[0] if given else "create"
    for owner, flags in _BELONG.items():
        for flag in flags:
            if call.flags.get(flag) and owner != plan:
                raise Error(f"--{flag} belongs to --{owner}", location=f"--{flag}", kind="refused")
    runtime = call.runtime()
    if plan == "create":
        return runtime.plan(create_options(call))
    if plan == "restore":
        return runtime.plan_restore(restore_options(call), criu_options(call))
    name = check_id(call.text(plan))
    if plan == "delete":
        return runtime.plan_delete(name)
    if plan == "update":
        if not call.text("resources"):
            raise Error("--update needs --resources FILE", hint="- is standard input", kind="refused")
        return runtime.plan_update(name, resources_of(call.text("resources")))
    process = from_file(call.path("process")) if call.text("process") else runtime.config(name)["process"]
    options = ExecOptions(cgroup=call.texts("cgroup"), ignore_paused=call.yes("ignore-paused"))
    return runtime.plan_exec(name, process, options)

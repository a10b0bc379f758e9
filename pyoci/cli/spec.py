"""The command spec: writes a config.json to start from, with the wishes that the command line has."""

from __future__ import annotations

import os
from typing import Any

from pyoci import validate
from pyoci.cli import wishes
from pyoci.cli.call import Call, absolute
from pyoci.cli.exec_process import with_capabilities, with_user
from pyoci.cli.output import write
from pyoci.cli.update import size
from pyoci.documents import spec_template
from pyoci.errors import Error
from pyoci.json.document import dump_pretty

NETS = ("host", "none")  # or a path

Config = dict[str, Any]
_PERIOD = 100000  # microseconds
_LEAST_QUOTA = 1000  # the kernel takes no less


def main(call: Call) -> int:
    """Writes a config.json to start from."""
    directory = call.path("bundle")
    path = f"{directory}/config.json" if directory else "config.json"
    text = dump_pretty(_config(call, directory or absolute(".")), "\t") + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o666)
    except FileExistsError:
        raise Error("File config.json exists. Remove it first", kind="exists") from None
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None
    try:
        write(fd, text)
    except OSError as problem:
        os.unlink(path)
        raise Error(f"write {path}", errno=problem.errno or 0) from None
    finally:
        os.close(fd)
    return 0


def _config(call: Call, bundle: str) -> Config:
    """The config with all that was wished. Raises Error for what a container cannot have."""
    _check_text(call)
    config = spec_template.config()
    if call.yes("rootless"):
        config = spec_template.rootless(config, os.geteuid(), os.getegid())
    _wish_root(call, config, bundle)
    _wish_process(call, config["process"])
    if call.yes("rootless"):
        _map(config)
    if "hostname" in call.flags:
        config["hostname"] = call.text("hostname")
    config["mounts"] += [*map(_tmpfs, call.texts("tmpfs")), *(_bind(call, text) for text in call.texts("bind"))]
    _wish_network(call, config["linux"])
    resources = _resources(call)
    if resources:
        config["linux"]["resources"] = {**config["linux"].get("resources", {}), **resources}
    validate.check_config(config)
    return config


def _check_text(call: Call) -> None:
    """config.json is UTF-8, which the words of a command line need not be."""
    given = {"COMMAND": call.arguments, **{f"--{name}": value for name, value in call.flags.items()}}
    for name, value in given.items():
        for text in value if isinstance(value, list) else [str(value)]:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Error(f"{text!r} is no UTF-8 text, as config.json is", location=name) from None


def _either(call: Call, yes: str, no: str, default: bool) -> bool:
    """Which of two flags that are each other's opposite was given."""
    if yes in call.flags and no in call.flags:
        raise Error(f"--{yes} and --{no} do not go together", kind="refused")
    if no in call.flags:
        return not call.yes(no)
    return call.yes(yes) if yes in call.flags else default


def _wish_root(call: Call, config: Config, bundle: str) -> None:
    root = config["root"]
    root["readonly"] = _either(call, "readonly", "writable", root["readonly"])
    if not call.text("rootfs"):
        return
    path = call.path("rootfs")
    if not os.path.isdir(path):
        call.warn(f"--rootfs: {path} is no directory; it has to be one when the container is created")
    below = bundle.rstrip("/") + "/"
    root["path"] = path.removeprefix(below)  # the bundle may be moved with it


def _wish_process(call: Call, process: Config) -> None:
    process["terminal"] = _either(call, "tty", "no-tty", process["terminal"])
    process["args"] = _arguments(call) or process["args"]
    variables = dict(text.split("=", 1) for text in process["env"])
    variables.update(wishes.variable(call, text) for text in call.texts("env"))
    process["env"] = [f"{name}={value}" for name, value in variables.items()]
    process["user"] = with_user(process["user"], call)
    process["cwd"] = call.text("cwd") or process["cwd"]
    process["capabilities"] = with_capabilities(process["capabilities"], call.texts("cap"))


def _arguments(call: Call) -> list[str]:
    """The words of COMMAND, or those of --args, which is taken apart as a shell does it."""
    if "args" not in call.flags:
        return call.arguments
    if call.arguments:
        raise Error("--args and a COMMAND do not go together", hint="both are the command", kind="refused")
    import shlex  # of this flag alone

    try:
        words = shlex.split(call.text("args"))
    except ValueError as problem:
        raise Error(str(problem), location="--args", hint="quotes count as in a shell", kind="refused") from None
    if not words:
        raise Error("there is no word in it", location="--args", kind="refused")
    return words


def _map(config: Config) -> None:
    """Maps the caller to the user that the container's process is: without ranges there is one id alone."""
    for kind in ("uid", "gid"):
        config["linux"][f"{kind}Mappings"][0]["containerID"] = config["process"]["user"][kind]


def _tmpfs(text: str) -> Config:
    place, room = wishes.tmpfs(text)
    options = ["nosuid", "nodev", "mode=1777", f"size={_above_zero(room, '--tmpfs')}"]
    return {"destination": _place(place, "--tmpfs"), "type": "tmpfs", "source": "tmpfs", "options": options}


def _bind(call: Call, text: str) -> Config:
    source, (destination, mode) = wishes.bind(call, text)
    if not os.path.lexists(source):
        call.warn(f"--bind: {source} is not there; it has to be when the container is created")
    options = ["rbind", f"r{mode}", "rprivate"]
    return {"destination": _place(destination, "--bind"), "type": "none", "source": source, "options": options}


def _place(path: str, flag: str) -> str:
    if path[:1] != "/" or os.path.normpath("/" + path.lstrip("/")) == "/":
        raise Error(f"{path!r} is no absolute path of a place in the container", location=flag, kind="refused")
    return path


def _wish_network(call: Call, linux: Config) -> None:
    """The host's network, one of its own, or one that exists, by its path."""
    if "net" not in call.flags:
        return
    wanted = call.text("net")
    if wanted not in NETS and wanted[:1] != "/":
        hint = "it is one of host, none, or the path of a network namespace"
        raise Error(f"unknown network {wanted!r}", location="--net", hint=hint, kind="refused")
    linux["namespaces"] = [space for space in linux["namespaces"] if space["type"] != "network"]
    if wanted != "host":
        linux["namespaces"].append({"type": "network", **({"path": wanted} if wanted != "none" else {})})


def _resources(call: Call) -> Config:
    resources: Config = {}
    if call.text("memory"):
        resources["memory"] = {"limit": _above_zero(call.text("memory"), "--memory")}
    cpus = wishes.decimal(call, "cpus")
    if cpus is not None:
        quota = round(cpus * _PERIOD)
        if quota < _LEAST_QUOTA:
            raise Error(f"{call.text('cpus')} is too few", location="--cpus", hint="the least is 0.01", kind="refused")
        resources["cpu"] = {"quota": quota, "period": _PERIOD}
    if "pids" in call.flags:
        if not call.number("pids"):
            raise Error("a container has one process at least", location="--pids", kind="refused")
        resources["pids"] = {"limit": call.number("pids")}
    return resources


def _above_zero(text: str, flag: str) -> int:
    number = size(text, flag)
    if number <= 0:
        raise Error(f"{text} is not a size above zero", location=flag, kind="refused")
    return number

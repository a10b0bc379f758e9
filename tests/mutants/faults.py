# ruff: noqa: E501
"""The faults: for each its name, the requirements that it breaks, and what it does.

A fault of the configuration edits config.json before create or run; a fault of the state edits what `state` prints;
a fault of the features edits what `features` prints; a fault of an operation is a function of the call itself.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

Edit = Callable[[dict[str, Any]], object]


class Call(NamedTuple):
    """A call of the runtime: the program, its arguments, the operation among them, what follows it."""

    runtime: str
    arguments: list[str]
    operation: str
    rest: list[str]

    def go(self, arguments: Optional[list[str]] = None, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Does it (or the same with other arguments), with the caller's streams and descriptors."""
        words = [self.runtime, *(self.arguments if arguments is None else arguments)]
        return subprocess.run(words, close_fds=False, text=True, check=False, **options)

    def with_rest(self, rest: list[str]) -> list[str]:
        """The arguments with others after the operation."""
        return [*self.arguments[: len(self.arguments) - len(self.rest)], *rest]

    def id(self) -> str:
        """The container's id: the last argument that is no option, for the operations that have it last."""
        return self.rest[-1] if self.rest else ""


class Fault(NamedTuple):
    breaks: tuple[str, ...]
    config: Optional[Edit] = None
    state: Optional[Edit] = None
    features: Optional[Edit] = None
    operation: Optional[Callable[[Call], Optional[int]]] = None  # None as its answer: go on as usual


FAULTS: dict[str, Fault] = {}


def config(name: str, breaks: str, edit: Edit) -> None:
    FAULTS[name] = Fault(tuple(breaks.split()), config=edit)


def state(name: str, breaks: str, edit: Edit) -> None:
    FAULTS[name] = Fault(tuple(breaks.split()), state=edit)


def features(name: str, breaks: str, edit: Edit) -> None:
    FAULTS[name] = Fault(tuple(breaks.split()), features=edit)


def operation(name: str, breaks: str) -> Callable[[Callable[[Call], Optional[int]]], Callable[[Call], Optional[int]]]:
    def register(function: Callable[[Call], Optional[int]]) -> Callable[[Call], Optional[int]]:
        FAULTS[name] = Fault(tuple(breaks.split()), operation=function)
        return function

    return register


# -- small tools


def inner(whole: Any, path: str) -> tuple[Any, str]:
    """The object that holds the last name of a dotted path, and that name; ({}, name) where there is none."""
    *names, last = path.split(".")
    for name in names:
        whole = whole.get(name) if isinstance(whole, dict) else None
    return (whole if isinstance(whole, dict) else {}), last


def drop(*paths: str) -> Edit:
    def edit(whole: dict[str, Any]) -> None:
        for path in paths:
            holder, name = inner(whole, path)
            holder.pop(name, None)

    return edit


def put(path: str, value: Any, only_if_there: bool = True) -> Edit:
    def edit(whole: dict[str, Any]) -> None:
        holder, name = inner(whole, path)
        if not only_if_there or name in holder:
            holder[name] = value

    return edit


def change(path: str, function: Callable[[Any], Any]) -> Edit:
    """Replaces a value that is there by a function of it."""

    def edit(whole: dict[str, Any]) -> None:
        holder, name = inner(whole, path)
        if name in holder:
            holder[name] = function(holder[name])

    return edit


def each(path: str, function: Callable[[dict[str, Any]], object]) -> Edit:
    """Does something to each object of a list."""

    def edit(whole: dict[str, Any]) -> None:
        holder, name = inner(whole, path)
        for entry in holder.get(name) or [] if isinstance(holder.get(name), list) else []:
            function(entry)

    return edit


def default(path: str, value: Any) -> Edit:
    """Puts a value where there is none: a runtime that forgives."""

    def edit(whole: dict[str, Any]) -> None:
        holder, name = inner(whole, path)
        if not holder.get(name):
            holder[name] = value

    return edit


# -- process

config("ignores-cwd", "config.process.cwd", put("process.cwd", "/"))
config("forgives-relative-cwd", "config.process.cwd-absolute", change("process.cwd", lambda cwd: "/" + str(cwd).lstrip("/")))
config("forgives-missing-cwd", "config.process.cwd-required", default("process.cwd", "/"))
config("drops-env", "config.process.env", put("process.env", ["PATH=/"]))
config("drops-last-variable", "config.process.env", change("process.env", lambda env: env[:-1]))
config("leaks-own-environment", "config.process.env", change("process.env", lambda env: [*env, "CONFORMANCE_MARK=of-the-caller"]))
config("drops-empty-variables", "config.process.env", change("process.env", lambda env: [e for e in env if not e.endswith("=")]))
config("drops-last-argument", "config.process.args", change("process.args", lambda args: args[:-1] if len(args) > 2 else args))
config("resolves-argv0", "config.process.args-search", change("process.args", lambda args: [f"/{args[0]}".replace("//", "/"), *args[1:]] if args else args))
config("forgives-missing-args", "config.process.args-required", default("process.args", ["/probe", "exit:0"]))
config("forgives-missing-program", "config.process.args-not-found", change("process.args", lambda args: args if "/probe" in args[:1] else ["/probe", "exit:0"]))
config("ignores-uid", "config.process.user.uid", put("process.user.uid", 0))
config("ignores-gid", "config.process.user.gid", put("process.user.gid", 0))
config("drops-additional-gids", "config.process.user.additional-gids", drop("process.user.additionalGids"))
config("drops-one-group", "config.process.user.additional-gids", change("process.user.additionalGids", lambda gids: gids[1:]))
config("keeps-callers-groups", "config.process.user.additional-gids", put("process.user.additionalGids", [1002, 7, 4242], False))
config("ignores-umask", "config.process.user.umask", drop("process.user.umask"))
config("takes-umask-0-for-unset", "config.process.user.umask", change("process.user.umask", lambda mask: mask or 0o022))
config("drops-rlimits", "config.process.rlimits.soft config.process.rlimits.hard", drop("process.rlimits"))
config("soft-limit-is-hard", "config.process.rlimits.soft", each("process.rlimits", lambda limit: limit.update(soft=limit["hard"])))
config("hard-limit-is-soft", "config.process.rlimits.hard", each("process.rlimits", lambda limit: limit.update(hard=limit["soft"])))
config("forgets-one-rlimit", "config.process.rlimits.soft", change("process.rlimits", lambda limits: [one for one in limits if one["type"] != "RLIMIT_CORE"]))
config("ignores-unknown-rlimits", "config.process.rlimits.type-error", change("process.rlimits", lambda limits: [one for one in limits if one["type"] != "RLIMIT_NONSENSE"]))
config("takes-last-of-two-rlimits", "config.process.rlimits.duplicate-error", change("process.rlimits", lambda limits: list({one["type"]: one for one in limits}.values())))
config("widens-bounding-set", "config.process.capabilities.bounding", change("process.capabilities.bounding", lambda caps: [*caps, "CAP_FOWNER"]))
config("ignores-bounding-set", "config.process.capabilities.bounding", put("process.capabilities.bounding", ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_MKNOD"]))
config("drops-inheritable-set", "config.process.capabilities.inheritable", put("process.capabilities.inheritable", []))
config("forgets-ambient-set", "config.process.capabilities.ambient", put("process.capabilities.ambient", []))
config("widens-ambient-set", "config.process.capabilities.ambient config.process.capabilities.permitted", change("process.capabilities.ambient", lambda caps: [*caps, "CAP_CHOWN"] if caps else caps))
config("loses-effective-set", "config.process.capabilities.effective", put("process.capabilities.ambient", []))
config("loses-a-capability", "config.process.capabilities.permitted config.process.capabilities.effective", lambda c: [caps.remove("CAP_KILL") for caps in (c.get("process") or {}).get("capabilities", {}).values() if "CAP_KILL" in caps])
config("ignores-no-new-privileges", "config.process.no-new-privileges", put("process.noNewPrivileges", False))
config("forces-no-new-privileges", "config.process.no-new-privileges", put("process.noNewPrivileges", True, False))
config("ignores-oom-score", "config.process.oom-score-adj.set", drop("process.oomScoreAdj"))
config("halves-oom-score", "config.process.oom-score-adj.set", change("process.oomScoreAdj", lambda value: value // 2))
config("resets-oom-score", "config.process.oom-score-adj.unset", default("process.oomScoreAdj", 77))
config("drops-scheduler", "config.process.scheduler.policy config.process.scheduler.nice", drop("process.scheduler"))
config("drops-nice", "config.process.scheduler.nice", drop("process.scheduler.nice"))
config("keeps-callers-nice", "config.process.scheduler.nice", lambda c: (c.get("process") or {}).get("scheduler", {"nice": 0}).setdefault("nice", os.nice(0)))
config("drops-scheduler-flags", "config.process.scheduler.flags", drop("process.scheduler.flags"))
config("takes-any-policy-for-other", "config.process.scheduler.policy-error", put("process.scheduler.policy", "SCHED_OTHER"))
config("drops-io-priority", "config.process.io-priority", drop("process.ioPriority"))
config("mixes-io-classes", "config.process.io-priority", put("process.ioPriority.class", "IOPRIO_CLASS_BE"))
config("forgives-io-class", "config.process.io-priority-error", put("process.ioPriority.class", "IOPRIO_CLASS_BE"))
config("drops-console-size", "config.process.console-size", drop("process.consoleSize"))
config("swaps-console-size", "config.process.console-size", change("process.consoleSize", lambda size: {"height": size["width"], "width": size["height"]}))
config("ignores-terminal", "config.process.terminal", put("process.terminal", False))
config("drops-apparmor-profile", "config.process.apparmor-profile", drop("process.apparmorProfile"))
config("drops-selinux-label", "config.process.selinux-label", drop("process.selinuxLabel"))
config("exec-affinity-for-the-first", "config.process.exec-cpu-affinity", lambda c: c["linux"].setdefault("resources", {}).update(cpu={"cpus": "1"}) if "execCPUAffinity" in (c.get("process") or {}) else None)

# -- the whole configuration

config("ignores-hostname", "config.hostname", drop("hostname"))
config("cuts-hostname", "config.hostname", change("hostname", lambda name: str(name)[:5]))
config("ignores-domainname", "config.domainname", drop("domainname"))
config("forgives-version", "config.oci-version.semver", put("ociVersion", "1.0.2"))
config("drops-annotations", "runtime.state.annotations", drop("annotations"))
config("drops-empty-annotations", "runtime.state.annotations", change("annotations", lambda a: {k: v for k, v in a.items() if v} if isinstance(a, dict) else a))
config("forgives-annotation-values", "config.annotations.values-strings", change("annotations", lambda a: {k: str(v) for k, v in a.items()} if isinstance(a, dict) else a))
config("forgives-annotation-list", "config.annotations.map", change("annotations", lambda a: a if isinstance(a, dict) else {}))
config("forgives-empty-annotation-key", "config.annotations.keys-not-empty", change("annotations", lambda a: {k: v for k, v in a.items() if k} if isinstance(a, dict) else a))
config("forgives-missing-process", "runtime.start.process-unset-error", default("process", {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["/probe", "exit:0"]}))
config("ignores-readonly-root", "config.root.readonly", put("root.readonly", False))
config("forces-readonly-root", "config.root.readonly-default", put("root.readonly", True, False))
config("forgives-missing-root", "config.root.required", default("root", {"path": "rootfs"}))
config("forgives-missing-root-path", "config.root.path-required", default("root.path", "rootfs"))
config("forgives-absent-rootfs", "config.root.exists", put("root.path", "rootfs"))

# -- mounts


def mount_options(function: Callable[[list[str]], list[str]]) -> Edit:
    return each("mounts", lambda mount: mount.update(options=function(mount["options"])) if "options" in mount else None)


SEEN_OPTIONS = ["async", "atime", "dev", "diratime", "dirsync", "exec", "lazytime", "noatime", "nodev", "nodiratime", "noexec", "nolazytime", "nosuid", "nosymfollow", "ro", "rw", "strictatime", "suid", "symfollow", "sync", "remount", "nostrictatime"]
for _option in SEEN_OPTIONS:
    config(f"ignores-option-{_option}", f"config.mounts.option.{_option}", mount_options(lambda options, o=_option: [x for x in options if x != o]))  # type: ignore[misc]
for _option in ("private", "shared", "unbindable", "slave"):
    for _prefix in ("", "r"):
        _name = _prefix + _option
        if _name in ("slave", "rslave"):  # what is bound from a shared mount is a slave unless told otherwise
            config(f"makes-{_name}-private", f"config.mounts.option.{_name}", mount_options(lambda options, o=_name: ["rprivate" if x == o else x for x in options]))  # type: ignore[misc]
        else:
            config(f"ignores-option-{_name}", f"config.mounts.option.{_name}", mount_options(lambda options, o=_name: [x for x in options if x != o]))  # type: ignore[misc]
RECURSIVE_OPTIONS = ["rnoatime", "rnodiratime", "rnoexec", "rnosuid", "rnosymfollow", "rro", "rrw", "rsuid", "rdev", "rexec", "rsymfollow", "rdiratime", "rstrictatime", "ratime"]
for _option in RECURSIVE_OPTIONS:
    config(f"ignores-option-{_option}", f"config.mounts.option.{_option}", mount_options(lambda options, o=_option: [x for x in options if x != o]))  # type: ignore[misc]
for _option in ("rro", "rnosuid", "rnoexec"):
    config(f"does-not-recurse-{_option}", f"config.mounts.option.{_option}", mount_options(lambda options, o=_option: [x[1:] if x == o else x for x in options]))  # type: ignore[misc]
config("binds-without-submounts", "config.mounts.option.rbind", mount_options(lambda options: ["bind" if x == "rbind" else x for x in options]))
config("binds-with-submounts", "config.mounts.option.bind", mount_options(lambda options: ["rbind" if x == "bind" else x for x in options]))
config("drops-filesystem-options", "config.mounts.option.unknown-as-data", mount_options(lambda options: [x for x in options if "=" not in x]))
config("swaps-last-mounts", "config.mounts.order", change("mounts", lambda mounts: [*mounts[:-2], mounts[-1], mounts[-2]]))
config("mounts-once-a-place", "config.mounts.order", change("mounts", lambda mounts: list({mount.get("destination"): mount for mount in mounts}.values())))
config("drops-relative-destinations", "config.mounts.destination-relative", change("mounts", lambda mounts: [mount for mount in mounts if mount.get("destination", "").startswith("/")]))
config("forgives-missing-destination", "config.mounts.destination-required", change("mounts", lambda mounts: [mount for mount in mounts if "destination" in mount]))
config("binds-by-type-alone", "config.mounts.bind-by-option", each("mounts", lambda mount: mount.update(options=[x for x in mount["options"] if "bind" not in x]) if mount.get("type") == "tmpfs" and "options" in mount else None))
config("skips-file-binds", "config.mounts.bind-file", change("mounts", lambda mounts: [mount for mount in mounts if not os.path.isfile(mount.get("source", ""))]))
config("takes-any-type-for-tmpfs", "config.mounts.type config.mounts.type-unknown", each("mounts", lambda mount: mount.update(type="tmpfs") if mount.get("type") in ("ramfs", "nosuchfs") else None))
config("skips-mounts-of-missing-sources", "runtime.lifecycle.unable-error", change("mounts", lambda mounts: [mount for mount in mounts if mount.get("source") != "/no/such/source"]))
for _point, _id in (("/sys", "sys"), ("/dev/pts", "devpts"), ("/dev/shm", "devshm")):
    config(f"does-not-mount-{_id}", f"linux.default-filesystems.{_id}", change("mounts", lambda mounts, p=_point: [mount for mount in mounts if mount.get("destination") != p]))  # type: ignore[misc]
config("drops-idmap", "config.mounts.option.idmap config.mounts.idmap.uses-mappings", lambda c: (mount_options(lambda options: [x for x in options if x != "idmap"])(c), each("mounts", drop("uidMappings", "gidMappings"))(c)))
config("uses-uid-mapping-for-gids", "config.mounts.idmap.uses-mappings", each("mounts", lambda mount: mount.update(gidMappings=mount["uidMappings"]) if "uidMappings" in mount else None))
config("ridmap-does-not-recurse", "config.mounts.option.ridmap", mount_options(lambda options: ["idmap" if x == "ridmap" else x for x in options]))
config("forgives-idmap-without-mapping", "config.mounts.idmap.no-mapping-error", each("mounts", lambda mount: mount.update(options=[x for x in mount["options"] if "idmap" not in x]) if "options" in mount and "uidMappings" not in mount else None))
config("forgives-one-mapping", "config.mounts.mappings-both", each("mounts", lambda mount: mount.update({"uidMappings": mount.get("uidMappings") or mount.get("gidMappings"), "gidMappings": mount.get("gidMappings") or mount.get("uidMappings")}) if "uidMappings" in mount or "gidMappings" in mount else None))

# -- hooks

_KINDS = {"prestart": "prestart", "create-runtime": "createRuntime", "create-container": "createContainer", "start-container": "startContainer", "poststart": "poststart", "poststop": "poststop"}
for _id, _kind in _KINDS.items():
    config(f"skips-{_id}-hooks", f"runtime.lifecycle.{_id}-invoked config.hooks.{_id}.when", drop(f"hooks.{_kind}"))
    config(f"reverses-{_id}-hooks", "config.hooks.order", change(f"hooks.{_kind}", lambda hooks: hooks[::-1]))


def all_hooks(function: Callable[[dict[str, Any]], object]) -> Edit:
    def edit(whole: dict[str, Any]) -> None:
        hooks = whole.get("hooks")
        for entries in hooks.values() if isinstance(hooks, dict) else []:
            for entry in entries:
                function(entry)

    return edit


def forgiving(kind: str) -> Edit:
    """Failures of this kind of hook go unnoticed."""
    return each(f"hooks.{kind}", lambda hook: hook.update(args=["0" if word == "7" else word for word in hook.get("args", [])]))


for _id, _kind in list(_KINDS.items())[:5]:
    config(f"forgives-failing-{_id}-hooks", f"runtime.lifecycle.{_id}-fails-error", forgiving(_kind))


def moved(source: str, target: str) -> Edit:
    """Runs the hooks of one kind when those of another are run, after them."""

    def edit(whole: dict[str, Any]) -> None:
        hooks = whole.get("hooks") or {}
        if source in hooks:
            hooks[target] = [*hooks.get(target, []), *hooks.pop(source)]

    return edit


def moved_before(source: str, target: str) -> Edit:
    def edit(whole: dict[str, Any]) -> None:
        hooks = whole.get("hooks") or {}
        if source in hooks:
            hooks[target] = [*hooks.pop(source), *hooks.get(target, [])]

    return edit


config("prestart-after-create-runtime", "config.hooks.prestart.before-create-runtime", moved("prestart", "createRuntime"))
config("create-container-in-runtime", "config.hooks.create-container.namespace", moved("createContainer", "createRuntime"))
config("create-container-first", "config.hooks.create-container.after-create-runtime", moved_before("createContainer", "prestart"))
config("create-runtime-in-container", "config.hooks.create-runtime.namespace", moved("createRuntime", "createContainer"))
config("prestart-in-container", "config.hooks.prestart.namespace", moved("prestart", "createContainer"))
config("poststart-at-create", "config.hooks.poststart.when", moved("poststart", "createRuntime"))
config("poststart-at-delete", "config.hooks.poststart.when", moved("poststart", "poststop"))
config("poststop-at-start", "config.hooks.poststop.when", moved("poststop", "poststart"))
config("hooks-lose-last-argument", "config.hooks.args", all_hooks(lambda hook: hook.update(args=hook["args"][:-1]) if len(hook.get("args", [])) > 4 else None))
config("hooks-lose-environment", "config.hooks.env", all_hooks(lambda hook: hook.pop("env", None)))
config("hooks-get-more-environment", "config.hooks.env", all_hooks(lambda hook: hook.update(env=[*hook["env"], "LEAK=1"]) if "env" in hook else None))
config("forgives-hook-timeouts", "config.hooks.timeout-positive", all_hooks(lambda hook: hook.pop("timeout", None) if hook.get("timeout", 1) < 1 else None))
config("forgives-hooks-without-path", "config.hooks.path-required", change("hooks.createRuntime", lambda hooks: [hook for hook in hooks if "path" in hook]))
config("forgives-relative-hooks", "config.hooks.path-absolute", all_hooks(lambda hook: hook.update(path=os.path.abspath(hook["path"])) if "path" in hook else None))


def without_state(hook: dict[str, Any]) -> None:
    hook["args"] = ["sh", "-c", 'exec "$0" "$@" </dev/null', hook["path"], *hook["args"][1:]]
    hook["path"] = "/bin/sh"


config("runtime-hooks-without-state", "config.hooks.state", each("hooks.createRuntime", without_state))
config("poststop-hooks-without-state", "config.hooks.state", each("hooks.poststop", without_state))

# -- namespaces and what goes with them


def namespaces(function: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Edit:
    return change("linux.namespaces", lambda entries: function(entries) if isinstance(entries, list) else entries)


for _kind in ("pid", "network", "ipc", "uts", "cgroup", "time"):
    config(f"no-new-{_kind}-namespace", f"linux.namespaces.type.{_kind} linux.namespaces.new", namespaces(lambda entries, k=_kind: [e for e in entries if e.get("type") != k or "path" in e]))  # type: ignore[misc]
    config(f"does-not-join-{_kind}", "linux.namespaces.path-joined", namespaces(lambda entries, k=_kind: [{"type": k} if e.get("type") == k else e for e in entries]))  # type: ignore[misc]
for _kind in ("network", "ipc", "uts", "cgroup"):
    config(f"isolates-{_kind}-unasked", "linux.namespaces.inherited", namespaces(lambda entries, k=_kind: entries if any(e.get("type") == k for e in entries) else [*entries, {"type": k}]))  # type: ignore[misc]
config("no-user-namespace", "linux.namespaces.type.user", lambda c: (namespaces(lambda entries: [e for e in entries if e.get("type") != "user"])(c), drop("linux.uidMappings", "linux.gidMappings")(c)))
config("forgives-duplicate-namespaces", "linux.namespaces.duplicate-error", namespaces(lambda entries: list({e.get("type"): e for e in entries}.values())))
config("forgives-unknown-namespaces", "linux.namespaces.unknown-type-error", namespaces(lambda entries: [e for e in entries if e.get("type") != "nonsense"]))
config("forgives-relative-namespace-path", "linux.namespaces.path-absolute", namespaces(lambda entries: [{**e, "path": "/" + e["path"].lstrip("/")} if "path" in e else e for e in entries]))
config("forgives-wrong-namespace-path", "linux.namespaces.path-wrong-type-error linux.namespaces.path-no-namespace-error", namespaces(lambda entries: [{"type": e.get("type")} for e in entries]))
config("maps-one-uid-less", "linux.mappings.uid", change("linux.uidMappings", lambda entries: [{**e, "size": e["size"] - 1} for e in entries]))
config("drops-second-uid-mapping", "linux.mappings.uid", change("linux.uidMappings", lambda entries: entries[:1]))
config("uses-uid-mappings-for-gids", "linux.mappings.gid", lambda c: c["linux"].update(gidMappings=c["linux"]["uidMappings"]) if "uidMappings" in (c.get("linux") or {}) else None)
config("drops-time-offsets", "linux.time-offsets.monotonic linux.time-offsets.boottime", drop("linux.timeOffsets"))
config("drops-nanoseconds", "linux.time-offsets.monotonic", change("linux.timeOffsets", lambda clocks: {name: {"secs": value.get("secs", 0)} for name, value in clocks.items()}))
config("drops-boottime-offset", "linux.time-offsets.boottime", drop("linux.timeOffsets.boottime"))
config("drops-sysctl", "linux.sysctl linux.sysctl-inapplicable-error", drop("linux.sysctl"))
config("drops-one-sysctl", "linux.sysctl", change("linux.sysctl", lambda values: {k: v for k, v in values.items() if not k.startswith("fs.")}))
config("drops-personality", "linux.personality.linux32 linux.personality.error", drop("linux.personality"))

# -- devices


def devices(function: Callable[[dict[str, Any]], object]) -> Edit:
    return each("linux.devices", function)


config("drops-devices", "linux.devices.char linux.devices.block linux.devices.fifo linux.devices.unbuffered", drop("linux.devices"))
config("makes-blocks-of-chars", "linux.devices.block", devices(lambda entry: entry.update(type="c") if entry.get("type") == "b" else None))
config("makes-nothing-of-fifos", "linux.devices.fifo", change("linux.devices", lambda entries: [e for e in entries if e.get("type") != "p"]))
config("ignores-file-mode", "linux.devices.file-mode", devices(lambda entry: entry.pop("fileMode", None)))
config("ignores-device-uid", "linux.devices.uid", devices(lambda entry: entry.pop("uid", None)))
config("ignores-device-gid", "linux.devices.gid", devices(lambda entry: entry.pop("gid", None)))
config("mixes-up-minor", "linux.devices.char", devices(lambda entry: entry.update(minor=entry["minor"] + 1) if "minor" in entry else None))
config("only-in-dev", "linux.devices.outside-dev", change("linux.devices", lambda entries: [e for e in entries if e["path"].startswith("/dev/")]))
config("forgives-device-type", "linux.devices.type-error", devices(lambda entry: entry.update(type="c") if entry.get("type") == "z" else None))
config("forgives-device-numbers", "linux.devices.numbers-required", devices(lambda entry: entry.update(major=1, minor=3) if "major" not in entry and entry.get("type") != "p" else None))
config("forgives-existing-files", "linux.devices.existing-mismatch-error", change("linux.devices", lambda entries: [e for e in entries if not e["path"].startswith("/data")]))


def remove_in_container(path: str) -> Edit:
    """Takes a file of /dev away, with a hook that sees the container's mounts."""

    def edit(whole: dict[str, Any]) -> None:
        rootfs = os.path.abspath((whole.get("root") or {}).get("path", "rootfs"))
        hook = {"path": "/bin/rm", "args": ["rm", "-f", rootfs + path]}
        whole.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)

    return edit


for _device in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
    config(f"no-default-{_device}", f"linux.devices.default.{_device}", remove_in_container(f"/dev/{_device}"))
for _link in ("fd", "stdin", "stdout", "stderr"):
    config(f"no-link-{_link}", f"runtime-linux.dev.{_link}", remove_in_container(f"/dev/{_link}"))

# -- resources

RULES = "linux.resources.devices"
config("allows-all-devices", f"{RULES}.deny {RULES}.wildcard", put(RULES, [{"allow": True, "access": "rwm"}]))
config("reverses-device-rules", f"{RULES}.order", change(RULES, lambda rules: [rules[0], *rules[:0:-1]] if len(rules) > 2 else rules[::-1]))
config("widens-device-access", f"{RULES}.allow", each(RULES, lambda rule: rule.update(access="rwm") if rule.get("allow") else None))
config("drops-allowed-devices", f"{RULES}.allow", change(RULES, lambda rules: [rule for rule in rules if not rule["allow"]]))
config("takes-missing-minor-for-0", f"{RULES}.wildcard", each(RULES, lambda rule: rule.setdefault("minor", 0) if "major" in rule else None))
for _name, _path in {
    "memory.limit": "memory.limit",
    "memory.reservation": "memory.reservation",
    "memory.swap": "memory.swap",
    "memory.swappiness": "memory.swappiness",
    "cpu.shares": "cpu.shares",
    "cpu.quota": "cpu.quota",
    "cpu.period": "cpu.period",
    "cpu.burst": "cpu.burst",
    "cpu.idle": "cpu.idle",
    "cpu.cpus": "cpu.cpus",
    "block-io.throttle-read-bps": "blockIO.throttleReadBpsDevice",
    "block-io.throttle-write-bps": "blockIO.throttleWriteBpsDevice",
    "block-io.throttle-read-iops": "blockIO.throttleReadIOPSDevice",
    "block-io.throttle-write-iops": "blockIO.throttleWriteIOPSDevice",
    "hugepage-limits": "hugepageLimits",
    "network.class-id": "network.classID",
    "network.priorities": "network.priorities",
    "pids.limit": "pids",
    "rdma": "rdma",
    "unified.absent-error": "unified",
}.items():
    config(f"drops-{_path}", f"linux.resources.{_name}", drop(f"linux.resources.{_path}"))
config("doubles-memory-limit", "linux.resources.memory.limit", change("linux.resources.memory.limit", lambda value: value * 2))
config("takes-pids-0-for-unlimited", "linux.resources.pids.zero", change("linux.resources.pids", lambda value: {} if value.get("limit") == 0 else value))
config("forgives-swappiness", "linux.resources.memory.swappiness-range", change("linux.resources.memory.swappiness", lambda value: min(value, 100)))
config("forgives-page-size", "linux.resources.hugepage-size-format", drop("linux.resources.hugepageLimits"))
config("ignores-cgroups-path", "linux.cgroups.path-absolute", put("linux.cgroupsPath", "/cf-elsewhere/one"))
config("new-cgroups-path-each-time", "linux.cgroups.path-consistent", change("linux.cgroupsPath", lambda path: f"{path}-{os.getpid()}" if isinstance(path, str) else path))
config("drops-intel-rdt", "linux.intel-rdt.no-resctrl-error", drop("linux.intelRdt"))
config("drops-memory-policy", "linux.memory-policy.mode linux.memory-policy.nodes linux.memory-policy.mode-error", drop("linux.memoryPolicy"))
config("drops-memory-policy-flags", "linux.memory-policy.flags linux.memory-policy.flag-error", drop("linux.memoryPolicy.flags"))
config("prefers-where-it-should-bind", "linux.memory-policy.mode", change("linux.memoryPolicy.mode", lambda mode: "MPOL_PREFERRED" if mode == "MPOL_BIND" else mode))
config("drops-net-devices", "linux.net-devices.moved linux.net-devices.missing-error", drop("linux.netDevices"))
config("ignores-net-device-names", "linux.net-devices.renamed linux.net-devices.name-exists-error", change("linux.netDevices", lambda devices: {name: {} for name in devices}))

# -- seccomp

SECCOMP = "linux.seccomp"
RULE = f"{SECCOMP}.syscalls"
config("drops-seccomp", "linux.seccomp.action.errno linux.seccomp.default-action", drop(SECCOMP))
config("allows-by-default", "linux.seccomp.default-action linux.seccomp.default-errno", put(f"{SECCOMP}.defaultAction", "SCMP_ACT_ALLOW"))
config("drops-default-errno", "linux.seccomp.default-errno linux.seccomp.default-errno-unsupported", drop(f"{SECCOMP}.defaultErrnoRet"))
config("drops-errno", "linux.seccomp.errno linux.seccomp.errno-unsupported", each(RULE, lambda rule: rule.pop("errnoRet", None)))
config("wrong-default-of-errno", "linux.seccomp.errno-default", each(RULE, lambda rule: rule.setdefault("errnoRet", 38) if rule.get("action") == "SCMP_ACT_ERRNO" else None))
config("takes-first-name-only", "linux.seccomp.names", each(RULE, lambda rule: rule.update(names=rule["names"][:1]) if len(rule["names"]) < 5 else None))
config("ignores-argument-conditions", "linux.seccomp.op.eq linux.seccomp.args-index", each(RULE, lambda rule: rule.pop("args", None)))
config("compares-first-argument-always", "linux.seccomp.args-index", each(RULE, lambda rule: [one.update(index=0) for one in rule.get("args", [])]))
for _wrong, _right in {"LT": "LE", "LE": "LT", "GT": "GE", "GE": "GT", "EQ": "NE", "NE": "EQ", "MASKED_EQ": "EQ"}.items():
    _id = _wrong.lower().replace("_", "-")
    config(f"takes-{_id}-for-{_right.lower()}", f"linux.seccomp.op.{_id}", each(RULE, lambda rule, w=_wrong, r=_right: [one.update(op=f"SCMP_CMP_{r}") for one in rule.get("args", []) if one.get("op") == f"SCMP_CMP_{w}"]))  # type: ignore[misc]
for _name, _wrong, _right in (
    ("kill-process", "KILL_PROCESS", "KILL_THREAD"),
    ("kill-thread", "KILL_THREAD", "KILL_PROCESS"),
    ("kill", "KILL", "KILL_PROCESS"),
    ("trap", "TRAP", "ERRNO"),
    ("trace", "TRACE", "ALLOW"),
    ("log", "LOG", "ERRNO"),
    ("notify", "NOTIFY", "ERRNO"),
):
    config(f"takes-{_name}-for-another-action", f"linux.seccomp.action.{_name}", each(RULE, lambda rule, w=_wrong, r=_right: rule.update(action=f"SCMP_ACT_{r}") if rule.get("action") == f"SCMP_ACT_{w}" else None))  # type: ignore[misc]
config("forgives-unknown-actions", "linux.seccomp.action-error", lambda c: (each(RULE, lambda rule: rule.update(action="SCMP_ACT_ALLOW") if "NONSENSE" in rule.get("action", "") else None)(c), change(f"{SECCOMP}.defaultAction", lambda action: "SCMP_ACT_ALLOW" if "NONSENSE" in action else action)(c)))
config("drops-architectures", "linux.seccomp.architectures linux.seccomp.architecture-error", drop(f"{SECCOMP}.architectures"))
config("drops-seccomp-flags", "linux.seccomp.flag-error", drop(f"{SECCOMP}.flags"))
config("forgives-unknown-operators", "linux.seccomp.op-error", each(RULE, lambda rule: rule.pop("args", None)))
config("forgives-rules-without-names", "linux.seccomp.names-empty-error", change(RULE, lambda rules: [rule for rule in rules if rule.get("names")]))
config("drops-listener-metadata", "linux.seccomp.listener.metadata linux.seccomp.listener.metadata-alone-error", drop(f"{SECCOMP}.listenerMetadata"))
config("forgives-absent-agent", "linux.seccomp.listener.send-error", lambda c: (each(RULE, lambda rule: rule.update(action="SCMP_ACT_ERRNO") if rule.get("action") == "SCMP_ACT_NOTIFY" else None)(c), drop(f"{SECCOMP}.listenerPath")(c)))

# -- paths

config("drops-masked-paths", "linux.masked-paths.file linux.masked-paths.directory", drop("linux.maskedPaths"))
config("masks-files-only", "linux.masked-paths.directory", change("linux.maskedPaths", lambda paths: [path for path in paths if path != "/masked"]))
config("masks-directories-only", "linux.masked-paths.file", change("linux.maskedPaths", lambda paths: [path for path in paths if path != "/data/file"]))
config("ignores-readonly-paths", "linux.readonly-paths", drop("linux.readonlyPaths"))
config("takes-first-readonly-path", "linux.readonly-paths", change("linux.readonlyPaths", lambda paths: paths[:1]))
config("ignores-propagation", "linux.rootfs-propagation.shared linux.rootfs-propagation.unbindable linux.rootfs-propagation.error", drop("linux.rootfsPropagation"))
config("drops-mount-label", "linux.mount-label", drop("linux.mountLabel"))

# -- what state prints

state("status-always-created", "runtime.state.status-running", lambda s: s.update(status="created"))
state("status-always-running", "runtime.state.status-created runtime.state.status-stopped", lambda s: s.update(status="running"))
state("status-creating", "runtime.state.status-created", lambda s: s.update(status="creating") if s.get("status") == "created" else None)
state("status-of-its-own", "runtime.state.status-additional", lambda s: s.update(status="exited") if s.get("status") == "stopped" else None)
state("pid-of-a-neighbour", "runtime.state.pid", lambda s: s.update(pid=s["pid"] + 1) if s.get("pid") else None)
state("no-pid", "runtime.state.pid", lambda s: s.pop("pid", None))
state("pid-as-text", "runtime.state.json-schema", lambda s: s.update(pid=str(s.get("pid"))))
state("id-cut", "runtime.state.id", lambda s: s.update(id=s["id"][:4]))
state("bundle-relative", "runtime.state.bundle", lambda s: s.update(bundle=os.path.basename(s["bundle"])))
state("no-version", "runtime.state.oci-version runtime.state.json-schema", lambda s: s.pop("ociVersion", None))
state("no-annotations", "runtime.state.annotations", lambda s: s.pop("annotations", None))
state("stopped-with-pid", "defacto.state-stopped-pid", lambda s: s.update(pid=1))
state("created-in-words", "defacto.state-created-time", lambda s: s.update(created="just now"))
state("no-rootfs", "defacto.state-rootfs", lambda s: s.pop("rootfs", None))

# -- what features prints

features("min-above-max", "features.version-order", lambda f: f.update(ociVersionMin="9.0.0"))
features("no-min", "features.version-min", lambda f: f.pop("ociVersionMin", None))
features("max-in-words", "features.version-max", lambda f: f.update(ociVersionMax="latest"))
features("undefined-property", "features.no-undefined-properties", lambda f: f.update(favouriteColour="blue"))
features("undefined-linux-property", "features.no-undefined-properties", lambda f: f["linux"].update(cgroups={"v3": True}))
features("invented-hook", "features.hooks-supported", lambda f: f["hooks"].append("preflight"))
features("invented-mount-option", "features.mount-options-recognized", lambda f: f["mountOptions"].append("frobnicate"))
features("filesystem-option-listed", "features.mount-options-no-data", lambda f: f["mountOptions"].append("size"))
features("annotation-number", "features.annotations-map", lambda f: f.setdefault("annotations", {}).update({"com.example": 1}))
features("invented-namespace", "features-linux.namespaces", lambda f: f["linux"]["namespaces"].append("syslog"))
features("invented-capability", "features-linux.capabilities", lambda f: f["linux"]["capabilities"].append("CAP_OF_NO_KERNEL"))
for _key, _value in (("actions", "SCMP_ACT_SHRUG"), ("operators", "SCMP_CMP_SHRUG"), ("archs", "SCMP_ARCH_SHRUG"), ("supportedFlags", "SECCOMP_FILTER_FLAG_SHRUG"), ("knownFlags", "SECCOMP_FILTER_FLAG_SHRUG")):
    _id = {"supportedFlags": "supported-flags", "knownFlags": "known-flags"}.get(_key, _key)
    features(f"invented-seccomp-{_id}", f"features-linux.seccomp-{_id}", lambda f, k=_key, v=_value: f["linux"]["seccomp"].setdefault(k, []).append(v))  # type: ignore[misc]
features("invented-memory-policy", "features-linux.memory-policy-modes", lambda f: f["linux"]["memoryPolicy"]["modes"].append("MPOL_SHRUG"))
features("invented-memory-policy-flag", "features-linux.memory-policy-flags", lambda f: f["linux"]["memoryPolicy"]["flags"].append("MPOL_F_SHRUG"))
features("hides-idmap", "features-linux.idmap-enabled", lambda f: f["linux"].pop("mountExtensions", None))
features("depends-on-the-host", "features.static", lambda f: f["hooks"].extend(sorted(os.listdir("/sys"))))

# -- operations


def quiet(call: Call, *words: str) -> int:
    """Another operation of the runtime, with the same global options, unseen."""
    index = len(call.arguments) - len(call.rest) - 1
    return call.go([*call.arguments[:index], *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@operation("create-runs-the-program", "runtime.lifecycle.program-not-run runtime.create.args-not-applied")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    status = call.go().returncode
    if status == 0:
        import time

        quiet(call, "start", call.id())
        time.sleep(0.1)  # a runtime that runs the program at create has run it when it returns
    return status


@operation("start-does-nothing", "runtime.start.runs-program runtime.state.status-running")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "start" else None


@operation("start-never-fails", "runtime.start.no-id-error runtime.start.not-created-error")
def _(call: Call) -> Optional[int]:
    if call.operation != "start":
        return None
    call.go()
    return 0


@operation("start-restarts", "runtime.start.not-created-no-effect")
def _(call: Call) -> Optional[int]:
    if call.operation == "start" and call.go(stderr=subprocess.DEVNULL).returncode:
        quiet(call, "kill", call.id(), "KILL")
        return 1
    return None if call.operation != "start" else 0


@operation("kill-always-sends-term", "runtime.kill.sends-signal")
def _(call: Call) -> Optional[int]:
    return call.go(call.with_rest([call.rest[0], "TERM"])).returncode if call.operation == "kill" and len(call.rest) == 2 else None


@operation("kill-sends-nothing", "runtime.kill.sends-signal runtime.kill.created")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "kill" and call.rest[1:] in (["USR1"], ["KILL"]) else None


@operation("kill-never-fails", "runtime.kill.not-running-error runtime.kill.no-id-error")
def _(call: Call) -> Optional[int]:
    if call.operation != "kill":
        return None
    call.go()
    return 0


@operation("kill-deletes-the-stopped", "runtime.kill.not-running-no-effect")
def _(call: Call) -> Optional[int]:
    if call.operation == "kill" and call.go().returncode:
        quiet(call, "delete", "--force", call.rest[0] if call.rest else "none")
        return 1
    return None if call.operation != "kill" else 0


@operation("delete-forces", "runtime.delete.running-error runtime.delete.running-no-effect")
def _(call: Call) -> Optional[int]:
    return call.go(call.with_rest(["--force", *call.rest])).returncode if call.operation == "delete" and call.rest else None


@operation("delete-never-fails", "runtime.delete.unknown-error runtime.delete.no-id-error")
def _(call: Call) -> Optional[int]:
    if call.operation != "delete":
        return None
    call.go()
    return 0


@operation("delete-kills-and-complains", "runtime.delete.running-no-effect")
def _(call: Call) -> Optional[int]:
    if call.operation == "delete" and call.go().returncode:
        quiet(call, "kill", call.id(), "KILL")
        return 1
    return None if call.operation != "delete" else 0


@operation("delete-of-created-forces", "runtime.delete.created-error")
def _(call: Call) -> Optional[int]:
    if call.operation == "delete" and "--force" not in call.rest and call.go(stderr=subprocess.DEVNULL).returncode:
        return quiet(call, "delete", "--force", call.id())
    return None if call.operation != "delete" or "--force" in call.rest else 0


@operation("delete-does-nothing", "runtime.delete.resources-deleted runtime.lifecycle.destroyed")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "delete" and "--force" not in call.rest else None


@operation("delete-removes-bundle-files", "runtime.delete.foreign-kept")
def _(call: Call) -> Optional[int]:
    if call.operation == "delete":
        for entry in os.scandir("/tmp"):
            if entry.name.startswith("cf-") and entry.is_dir():
                for bundle in os.scandir(entry.path):
                    shutil.rmtree(os.path.join(bundle.path, "source"), ignore_errors=True)
    return None


@operation("state-never-fails", "runtime.query.unknown-error runtime.query.no-id-error")
def _(call: Call) -> Optional[int]:
    if call.operation != "state":
        return None
    call.go(stderr=subprocess.DEVNULL)
    return 0


@operation("state-says-nothing", "runtime.query.returns-state")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "state" else None


@operation("create-never-fails", "runtime.create.inapplicable-error runtime.create.no-id-error runtime.create.duplicate-id-error runtime.create.invalid-id-error bundle.config-present")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    call.go()
    return 0


@operation("duplicate-replaces", "runtime.create.duplicate-id-not-created runtime.state.id-unique")
def _(call: Call) -> Optional[int]:
    if call.operation == "create" and not quiet(call, "state", call.id()):
        quiet(call, "delete", "--force", call.id())
        return 1
    return None


@operation("tidies-bad-ids", "runtime.create.invalid-id-error")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    return call.go(call.with_rest([*call.rest[:-1], call.id().replace("/", "-").replace("..", "dots")])).returncode


@operation("failing-create-leaves-a-record", "runtime.errors.nothing-left")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    status = call.go().returncode
    if status:
        root = call.arguments[call.arguments.index("--root") + 1]
        os.makedirs(os.path.join(root, call.id()), exist_ok=True)
    return status


@operation("failing-create-leaves-a-pid-file", "runtime.errors.nothing-left defacto.pid-file-on-failure")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    status = call.go().returncode
    if status and "--pid-file" in call.rest:
        with open(call.rest[call.rest.index("--pid-file") + 1], "w") as file:
            file.write("1")
    return status


@operation("takes-any-config-file", "bundle.config-name bundle.config-present")
def _(call: Call) -> Optional[int]:
    if call.operation == "create" and "--bundle" in call.rest:
        directory = call.rest[call.rest.index("--bundle") + 1]
        other, config_file = (os.path.join(directory, name) for name in ("Config.JSON", "config.json"))
        if os.path.exists(other) and not os.path.exists(config_file):
            shutil.copy(other, config_file)
    return None


@operation("leaks-a-descriptor", "runtime-linux.fds.stdio-only")
def _(call: Call) -> Optional[int]:
    if call.operation != "create" or "--preserve-fds" in call.rest:
        return None
    os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
    return call.go(call.with_rest(["--preserve-fds", "1", *call.rest])).returncode


# -- the de-facto interface


@operation("pid-file-with-newline", "defacto.pid-file")
def _(call: Call) -> Optional[int]:
    if call.operation != "create":
        return None
    status = call.go().returncode
    if status == 0 and "--pid-file" in call.rest:
        with open(call.rest[call.rest.index("--pid-file") + 1], "a") as file:
            file.write("\n")
    return status


@operation("log-is-text", "defacto.log-json")
def _(call: Call) -> Optional[int]:
    return call.go([("text" if word == "json" and before == "--log-format" else word) for before, word in zip(["", *call.arguments], call.arguments)]).returncode


@operation("fails-silently", "defacto.log-stderr defacto.text-does-not-exist defacto.text-not-running")
def _(call: Call) -> Optional[int]:
    return call.go(stderr=subprocess.DEVNULL).returncode if call.operation in ("create", "start", "state", "kill", "delete") else None


@operation("one-root-for-all", "defacto.root")
def _(call: Call) -> Optional[int]:
    if "--root" not in call.arguments:
        return None
    index = call.arguments.index("--root") + 1
    root = call.arguments[index]
    return call.go([*call.arguments[:index], os.path.join(os.path.dirname(root), "root"), *call.arguments[index + 1 :]]).returncode


@operation("kill-all-kills-one", "defacto.kill-all defacto.kill-all-init-gone")
def _(call: Call) -> Optional[int]:
    if call.operation != "kill" or "--all" not in call.rest:
        return None
    # signalling the one process, as if --all had not been read
    import json

    index = len(call.arguments) - len(call.rest) - 1
    found = call.go([*call.arguments[:index], "state", call.rest[-2]], stdout=subprocess.PIPE)
    try:
        os.kill(json.loads(found.stdout)["pid"] or 1 << 22, 9)
    except OSError:
        return 1
    return 0


@operation("kill-knows-numbers-only", "defacto.kill-signal-names")
def _(call: Call) -> Optional[int]:
    return 1 if call.operation == "kill" and call.rest[1:] and not call.rest[-1].isdecimal() and call.rest[-1] != "KILL" else None


@operation("kill-defaults-to-hup", "defacto.kill-default-term")
def _(call: Call) -> Optional[int]:
    return call.go([*call.arguments, "HUP"]).returncode if call.operation == "kill" and len(call.rest) == 1 else None


@operation("run-returns-1", "defacto.run defacto.run-signal-status")
def _(call: Call) -> Optional[int]:
    return min(call.go().returncode, 1) if call.operation == "run" and "--detach" not in call.rest else None


@operation("run-keeps-the-container", "defacto.run")
def _(call: Call) -> Optional[int]:
    return call.go(call.with_rest(["--keep", *call.rest])).returncode if call.operation == "run" and "--detach" not in call.rest else None


@operation("exec-returns-0", "defacto.exec")
def _(call: Call) -> Optional[int]:
    if call.operation != "exec":
        return None
    call.go()
    return 0


def without(call: Call, option: str) -> list[str]:
    if option not in call.rest:
        return call.arguments
    index = call.rest.index(option)
    return call.with_rest([*call.rest[:index], *call.rest[index + 2 :]])


for _option in ("--cwd", "--env", "--user"):
    FAULTS[f"exec-ignores{_option}"] = Fault(("defacto.exec-options",), operation=lambda call, o=_option: call.go(without(call, o)).returncode if call.operation == "exec" else None)  # type: ignore[misc]


@operation("exec-detached-without-pid-file", "defacto.exec-detach")
def _(call: Call) -> Optional[int]:
    return call.go(without(call, "--pid-file")).returncode if call.operation == "exec" and "--detach" in call.rest and "--tty" not in call.rest else None


@operation("delete-force-of-unknown-fails", "defacto.delete-force-unknown")
def _(call: Call) -> Optional[int]:
    return 1 if call.operation == "delete" and quiet(call, "state", call.id()) else None


@operation("delete-force-does-not-force", "defacto.delete-force")
def _(call: Call) -> Optional[int]:
    return 1 if call.operation == "delete" and call.rest[:1] == ["--force"] and not quiet(call, "ps", call.id()) else None


@operation("list-is-empty", "defacto.list-json defacto.list-quiet")
def _(call: Call) -> Optional[int]:
    return print("[]") or 0 if call.operation == "list" else None


@operation("ps-shows-the-first-only", "defacto.ps-json")
def _(call: Call) -> Optional[int]:
    if call.operation != "ps":
        return None
    found = call.go(stdout=subprocess.PIPE)
    print(found.stdout.split(",")[0].rstrip("]\n") + "]")
    return found.returncode


@operation("pause-does-nothing", "defacto.pause-resume")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "pause" else None


@operation("update-does-nothing", "defacto.update linux.resources.memory.check-before-update")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "update" else None


@operation("events-say-nothing", "defacto.events-stats")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "events" else None


@operation("features-chatter", "defacto.features-plain")
def _(call: Call) -> Optional[int]:
    if call.operation == "features":
        print("looking for features", file=sys.stderr)
    return None


@operation("version-without-spec", "defacto.version")
def _(call: Call) -> Optional[int]:
    if call.arguments != ["--version"]:
        return None
    print("runtime 1.0")
    return 0


@operation("spec-writes-nothing", "defacto.spec")
def _(call: Call) -> Optional[int]:
    return 0 if call.operation == "spec" else None


config("home-not-set", "defacto.home-set", change("process.env", lambda env: [*env, "HOME=/nowhere"]))


@operation("preserves-no-descriptors", "defacto.preserve-fds")
def _(call: Call) -> Optional[int]:
    return call.go(without(call, "--preserve-fds")).returncode if call.operation == "create" else None


@operation("forgets-listen-fds", "defacto.listen-fds")
def _(call: Call) -> Optional[int]:
    os.environ.pop("LISTEN_FDS", None)
    return None


@operation("two-dashes-only", "defacto.single-dash-options")
def _(call: Call) -> Optional[int]:
    return 1 if any(word.startswith("-") and not word.startswith("--") and len(word) > 2 for word in call.rest) else None


@operation("knows-few-options", "defacto.options-accepted")
def _(call: Call) -> Optional[int]:
    return 1 if "--no-new-keyring" in call.rest else None


@operation("absolute-bundles-only", "defacto.relative-bundle")
def _(call: Call) -> Optional[int]:
    if call.operation == "create" and "--bundle" in call.rest:
        return None if call.rest[call.rest.index("--bundle") + 1].startswith("/") else 1
    return None


@operation("stays-the-parent", "defacto.outlives-runtime")
def _(call: Call) -> Optional[int]:
    """A helper remains between the caller and the container, as some runtimes do."""
    if call.operation != "create":
        return None
    import ctypes

    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        answer = os.read(reader, 4)
        return int(answer or b"1")
    os.close(reader)
    os.setsid()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    os.write(writer, str(call.go().returncode).encode())
    os.close(writer)
    for descriptor in range(3):  # let go of the caller's streams
        os.dup2(os.open("/dev/null", os.O_RDWR), descriptor)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            os._exit(0)

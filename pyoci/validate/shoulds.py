"""What the spec recommends, and what is ignored in silence or surely not meant: told by `pyoci validate` only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyoci.linux.kernel import CAPABILITIES
from pyoci.linux.mount_options import Options, all_options
from pyoci.linux.names import HOOKS
from pyoci.validate.musts import SUPPORTED, nearest, platform, semver

if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json, Path

STATUSES = ("creating", "created", "running", "stopped")
FILE_TYPES = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}  # inode(7)
NET_DEVICES_RETURN = "org.pyoci.netDevices.return"  # pyoci/network/devices.py
MAX_MAPPINGS = 340  # user_namespaces(7)


def config_advice(config: Json, out: list[Finding]) -> None:
    """Every SHOULD of a config."""
    _version(config, "ociVersion", out)
    if platform(config) != "linux":
        return
    if "process" in config:
        process_advice(config["process"], ("process",), out)
    for number, mount in enumerate(config.get("mounts", ())):
        _mount(mount, config.get("ociVersion", ""), ("mounts", number), out)
    for number, _ in enumerate(config.get("hooks", {}).get("prestart", ())):
        sentence = "prestart hooks are deprecated"
        out.append(("hook-deprecated", ("hooks", "prestart", number), sentence, "use createRuntime"))
    for name in config.get("annotations", {}):
        if name.startswith("org.opencontainers.") and not name.startswith("org.opencontainers.image."):
            sentence = "names that begin with org.opencontainers. are reserved for the specification"
            out.append(("annotation-reserved", ("annotations", name), sentence, ""))
    back = config.get("annotations", {}).get(NET_DEVICES_RETURN, "false")
    if back not in ("true", "false"):
        sentence = f'"{back}" is neither "true" nor "false": network devices are not put back'
        out.append(("annotation-value", ("annotations", NET_DEVICES_RETURN), sentence, 'write "true"'))
    linux = config.get("linux", {})
    _user_namespace(linux, out)
    _devices(linux.get("devices", ()), ("linux", "devices"), out)
    if linux.get("rootfsPropagation", "")[:1] == "r":
        sentence = "the spec knows shared, slave, private and unbindable only"
        hint = f'"{linux["rootfsPropagation"][1:]}" is the same'
        out.append(("propagation-recursive", ("linux", "rootfsPropagation"), sentence, hint))
    if ".." in linux.get("cgroupsPath", "").split("/"):
        out.append(("cgroups-path-climbs", ("linux", "cgroupsPath"), "the path of a cgroup goes upwards", ""))
    if "seccomp" in linux:
        _seccomp(linux["seccomp"], ("linux", "seccomp"), out)
    schema = linux.get("intelRdt", {}).get("l3CacheSchema", "L3:")
    if not schema.startswith("L3:") or "\n" in schema:
        sentence = "should begin with L3: and contain no newline"
        out.append(("rdt-l3-schema", ("linux", "intelRdt", "l3CacheSchema"), sentence, ""))
    if "resources" in linux:
        _resources(linux["resources"], ("linux", "resources"), out)


def _version(document: Json, name: str, out: list[Finding]) -> None:
    numbers = semver(document.get(name, ""))
    if numbers is None:
        return
    if numbers[0] == SUPPORTED[0] and numbers[1] > SUPPORTED[1]:
        sentence = f"version {document[name]} is newer than 1.3.0: properties it adds are ignored"
        out.append(("version-newer", (name,), sentence, ""))
    elif numbers[0] == 0:
        sentence = f"version {document[name]} is older than 1.0.0 and promises nothing"
        out.append(("version-older", (name,), sentence, ""))


def process_advice(process: Json, path: Path, out: list[Finding]) -> None:
    """Every SHOULD of a process."""
    if process.get("args", ["x"])[:1] == [""]:
        out.append(("process-args-first", (*path, "args", 0), "the name of the program is empty", ""))
    if "consoleSize" in process and not process.get("terminal"):
        sentence = "consoleSize is ignored without a terminal"
        out.append(("console-size-ignored", (*path, "consoleSize"), sentence, 'set "terminal": true'))
    if process.get("user", {}).get("umask", 0) > 0o777:
        sentence = f"a umask has nine bits, {process['user']['umask']} has more"
        out.append(("umask-range", (*path, "user", "umask"), sentence, "write it in decimal: 022 is 18"))
    if process.get("scheduler", {}).get("policy") == "SCHED_ISO":
        sentence = "Linux has no SCHED_ISO"
        out.append(("scheduler-iso", (*path, "scheduler", "policy"), sentence, ""))
    _environment(process.get("env", ()), (*path, "env"), out)
    _capabilities(process.get("capabilities", {}), (*path, "capabilities"), out)


def _environment(entries: list[str], path: Path, out: list[Finding]) -> None:
    last = {entry.partition("=")[0]: number for number, entry in enumerate(entries)}
    for number, entry in enumerate(entries):
        name, equals, _ = entry.partition("=")
        if equals and name and last[name] != number:
            out.append(("env-duplicate", (*path, number), f"{name} is set again further down, which wins", ""))


def _capabilities(sets: Json, path: Path, out: list[Finding]) -> None:
    for kind, names in sets.items():
        if kind not in ("bounding", "effective", "inheritable", "permitted", "ambient"):
            continue
        seen = set()
        for number, name in enumerate(names):
            if name not in CAPABILITIES:
                hint = nearest(name.upper(), [*CAPABILITIES]) or nearest("CAP_" + name.upper(), [*CAPABILITIES])
                sentence = f'unknown capability "{name}" is ignored'
                out.append(("capability-unknown", (*path, kind, number), sentence, hint))
            elif name in seen:
                sentence = f"{name} is listed twice"
                out.append(("capability-duplicate", (*path, kind, number), sentence, ""))
            seen.add(name)
            for needed in {"ambient": ("permitted", "inheritable"), "effective": ("permitted",)}.get(kind, ()):
                if name in CAPABILITIES and name not in sets.get(needed, ()):
                    sentence = f"{name} cannot be granted: it is {kind} but not {needed}"
                    out.append((f"capability-not-{needed}", (*path, kind, number), sentence, f"add it to {needed}"))


def _mount(mount: Json, version: str, path: Path, out: list[Finding]) -> None:
    destination, options = mount.get("destination", "/"), mount.get("options", ())
    if destination[:1] != "/":
        numbers = semver(version)
        if numbers is not None and numbers[:2] < (1, 1):
            sentence = f'in version {version} the destination of a mount must be absolute, "{destination}" is not'
            out.append(("mount-destination-old", (*path, "destination"), sentence, f'write "/{destination}"'))
        else:
            sentence = f'relative destinations such as "{destination}" are deprecated'
            out.append(("mount-destination-deprecated", (*path, "destination"), sentence, f'write "/{destination}"'))
    mapped = "uidMappings" in mount or "gidMappings" in mount
    if mapped and "idmap" not in options and "ridmap" not in options:
        sentence = "a mount with mappings should have the option idmap or ridmap: others ignore the mappings without"
        out.append(("mount-mappings-no-option", path, sentence, ""))
    if "bind" in options or "rbind" in options:
        _bind_options(options, (*path, "options"), out)
    for number in _repeated(options):
        sentence = f"{options[number]} is given twice"
        out.append(("mount-option-duplicate", (*path, "options", number), sentence, ""))


def _bind_options(options: list[str], path: Path, out: list[Finding]) -> None:
    """A filesystem's own options mean nothing to a bind mount: create refuses them, typos among them."""
    strange = set(Options(options, "").data)
    for number, option in enumerate(options):
        if option in strange:
            sentence = f'a bind mount cannot have a filesystem\'s own option such as "{option}"'
            out.append(("mount-bind-option", (*path, number), sentence, nearest(option, all_options())))


def _user_namespace(linux: Json, out: list[Finding]) -> None:
    for name in ("uidMappings", "gidMappings"):
        if len(linux.get(name, ())) > MAX_MAPPINGS:
            sentence = f"the kernel takes at most {MAX_MAPPINGS} mappings"
            out.append(("mapping-too-many", ("linux", name, MAX_MAPPINGS), sentence, ""))


def _repeated(items: list[str]) -> Iterator[int]:
    """The index of each item that was there before."""
    seen = set()
    for number, item in enumerate(items):
        if item in seen:
            yield number
        seen.add(item)


def _devices(entries: list[Json], path: Path, out: list[Finding]) -> None:
    seen: dict[object, object] = {}
    for number, entry in enumerate(entries):
        kind, target = entry.get("type", ""), entry.get("path")
        numbers = ("c" if kind == "u" else kind, entry.get("major"), entry.get("minor"))
        if kind != "p" and seen.setdefault(numbers, target) != target:
            sentence = f"the same device as {seen[numbers]}: type and numbers should not be used twice"
            out.append(("device-duplicate-numbers", (*path, number), sentence, ""))
        file_type = entry.get("fileMode", 0) & 0o170000
        if file_type and file_type != FILE_TYPES.get(kind, 0):
            sentence = f"the file type in {entry['fileMode']} is not that of a device of type {kind}"
            out.append(("device-mode-type", (*path, number, "fileMode"), sentence, "only the permissions are used"))


def _seccomp(seccomp: Json, path: Path, out: list[Finding]) -> None:
    rules = seccomp.get("syscalls", ())
    actions = [seccomp.get("defaultAction"), *(rule.get("action") for rule in rules)]
    listener = seccomp.get("listenerPath", "")
    if listener and "SCMP_ACT_NOTIFY" not in actions:
        sentence = "listenerPath is ignored: no action is SCMP_ACT_NOTIFY"
        out.append(("seccomp-listener-unused", (*path, "listenerPath"), sentence, ""))
    if listener and listener[0] != "/":
        sentence = f'"{listener}" starts at the bundle here; the spec does not say where relative paths start'
        out.append(("seccomp-listener-relative", (*path, "listenerPath"), sentence, "write an absolute path"))
    architectures = seccomp.get("architectures", ())
    for number in _repeated(architectures):
        sentence = f"{architectures[number]} is listed twice"
        out.append(("seccomp-arch-duplicate", (*path, "architectures", number), sentence, ""))
    for number, rule in enumerate(rules):
        for index, argument in enumerate(rule.get("args", ())):
            if argument.get("valueTwo") and argument.get("op") != "SCMP_CMP_MASKED_EQ":
                sentence = f"{argument.get('op')} does not use valueTwo"
                where = (*path, "syscalls", number, "args", index, "valueTwo")
                out.append(("seccomp-value-two", where, sentence, "only SCMP_CMP_MASKED_EQ does"))


def _resources(resources: Json, path: Path, out: list[Finding]) -> None:
    memory, cpu, block = resources.get("memory", {}), resources.get("cpu", {}), resources.get("blockIO", {})
    limit, reservation = memory.get("limit", 0), memory.get("reservation", 0)
    if 0 < limit < reservation:
        sentence = f"reservation {reservation} is above limit {limit}"
        out.append(("memory-reservation-above-limit", (*path, "memory"), sentence, ""))
    if memory.get("swap", 0) > 0 and limit <= 0 and memory["swap"] != limit:
        sentence = "a limit of memory and swap needs a limit of memory"
        out.append(("memory-swap-no-limit", (*path, "memory", "swap"), sentence, "set limit"))
    for name in ("kernel", "kernelTCP"):
        if memory.get(name):
            out.append(("memory-kernel", (*path, "memory", name), f"{name} is not recommended and ignored", ""))
    if cpu.get("shares", 0) and not 2 <= cpu["shares"] <= 262144:
        sentence = f"the kernel's range is 2 to 262144, {cpu['shares']} is cut to it"
        out.append(("cpu-shares-range", (*path, "cpu", "shares"), sentence, ""))
    if cpu.get("idle") and cpu.get("shares"):
        sentence = "shares have no effect on an idle cgroup"
        out.append(("cpu-idle-shares", (*path, "cpu", "shares"), sentence, ""))
    if cpu.get("quota", 0) < -1:
        out.append(("cpu-quota-negative", (*path, "cpu", "quota"), "no limit is written -1", ""))
    if resources.get("pids", {}).get("limit", 0) < -1:
        out.append(("pids-limit-negative", (*path, "pids", "limit"), "no limit is written -1", ""))
    for name in ("weight", "leafWeight"):
        if block.get(name, 0) and not 10 <= block[name] <= 1000:
            sentence = f"the kernel's range is 10 to 1000, {block[name]} is outside"
            out.append(("block-io-weight-range", (*path, "blockIO", name), sentence, ""))
    sizes = [entry.get("pageSize") for entry in resources.get("hugepageLimits", ())]
    for number in _repeated(sizes):
        where = (*path, "hugepageLimits", number, "pageSize")
        out.append(("hugepage-duplicate", where, f"pages of {sizes[number]} are limited twice", ""))
    for number, rule in enumerate(resources.get("devices", ())):
        if not rule.get("access"):
            sentence = "a rule without access changes nothing"
            out.append(("device-rule-access", (*path, "devices", number, "access"), sentence, "some of r, w and m"))


def state_advice(state: Json, out: list[Finding]) -> None:
    """Every SHOULD of a state document."""
    _version(state, "ociVersion", out)
    status = state.get("status", "created")
    if status not in STATUSES:
        hint = nearest(status, STATUSES)
        out.append(("state-status-unknown", ("status",), f'"{status}" is a word of the runtime, not of the spec', hint))


def features_advice(features: Json, out: list[Finding]) -> None:
    """Every SHOULD of a features document."""
    for number, name in enumerate(features.get("hooks") or ()):
        if name not in HOOKS:
            sentence = f'unknown hook "{name}"'
            out.append(("features-hook-unknown", ("hooks", number), sentence, nearest(name, HOOKS)))
    linux = features.get("linux") or {}
    for number, name in enumerate(linux.get("capabilities") or ()):
        if name not in CAPABILITIES:
            sentence = f'unknown capability "{name}"'
            where = ("linux", "capabilities", number)
            out.append(("capability-unknown", where, sentence, nearest(name, [*CAPABILITIES])))
    seccomp = linux.get("seccomp") or {}
    known = seccomp.get("knownFlags")
    for number, name in enumerate(seccomp.get("supportedFlags") or ()):
        if known is not None and name not in known:
            sentence = f"{name} is supported but not among knownFlags"
            out.append(("features-flag-unknown", ("linux", "seccomp", "supportedFlags", number), sentence, ""))

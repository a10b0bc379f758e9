"""The second layer, Linux part: what config.md and config-linux.md demand of a config for Linux."""

from .musts import number_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .musts import Finding, Json, Path

# /proc/PID/ns/NAME by the spec's word for the type
NS_FILES = {
    "cgroup": "cgroup", "ipc": "ipc", "mnt": "mount", "net": "network", "pid": "pid", "pid_for_children": "pid",
    "time": "time", "time_for_children": "time", "user": "user", "uts": "uts",
}  # fmt: skip
IPC_SYSCTLS = (
    "auto_msgmni", "msg_next_id", "msgmax", "msgmnb", "msgmni", "sem", "sem_next_id", "shm_next_id",
    "shm_rmid_forced", "shmall", "shmmax", "shmmni",
)  # fmt: skip
PROPAGATION = ("shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable")
HOST_NAME_MAX = 64  # uname(2)


def linux_rules(config: "Json", out: "list[Finding]") -> None:
    """Every MUST of a config for Linux that musts does not look at."""
    linux = config.get("linux", {})
    namespaces = {entry.get("type"): entry for entry in linux.get("namespaces", ())}
    _namespaces(linux.get("namespaces", ()), out)
    _names(config, namespaces, out)
    for number, mount in enumerate(config.get("mounts", ())):
        _mount(mount, "user" in namespaces, ("mounts", number), out)
    for name in ("uidMappings", "gidMappings"):
        if linux.get(name):
            if "user" not in namespaces:
                sentence = f"{name} need a user namespace"
                hint = 'add {"type": "user"} to linux.namespaces'
                out.append(("mapping-no-user-namespace", ("linux", name), sentence, hint))
            mappings(linux[name], ("linux", name), out)
    if "timeOffsets" in linux:
        _time_offsets(linux["timeOffsets"], namespaces.get("time"), out)
    for name in ("maskedPaths", "readonlyPaths"):
        if linux.get(name):
            _hidden_paths(linux[name], name, "mount" in namespaces, out)
    if linux.get("devices"):
        _devices(linux["devices"], out)
    if linux.get("netDevices"):
        _net_devices(linux["netDevices"], "network" in namespaces, out)
    if linux.get("sysctl"):
        _sysctls(linux["sysctl"], namespaces, out)
    if "seccomp" in linux:
        _seccomp(linux["seccomp"], ("linux", "seccomp"), out)
    if "intelRdt" in linux:
        _rdt(linux["intelRdt"], out)
    if "memoryPolicy" in linux:
        _memory_policy(linux["memoryPolicy"], out)
    for number, flag in enumerate(linux.get("personality", {}).get("flags", ())):
        sentence = f'no flag of a personality is defined, "{flag}" neither'
        out.append(("personality-flag", ("linux", "personality", "flags", number), sentence, ""))
    if "resources" in linux:
        resource_rules(linux["resources"], ("linux", "resources"), out)


def _namespaces(entries: "list[Json]", out: "list[Finding]") -> None:
    seen = set()
    for number, entry in enumerate(entries):
        kind = entry.get("type", "")
        path: "Path" = ("linux", "namespaces", number)
        if kind in seen:
            sentence = f"malformed spec file: duplicated ns {kind}"
            out.append(("namespace-duplicate", (*path, "type"), sentence, "keep one of the entries"))
        seen.add(kind)
        if "path" not in entry:
            continue
        target = entry["path"]
        if target[:1] != "/":
            sentence = f'the path of a namespace must be absolute, "{target}" is not'
            out.append(("namespace-path-relative", (*path, "path"), sentence, "leave path out for a new namespace"))
        elif target.startswith("/proc/") and "/ns/" in target:
            other = NS_FILES.get(target.rpartition("/ns/")[2])
            if other and kind and other != kind:
                sentence = f"{target} is a {other} namespace, not a {kind} namespace"
                out.append(("namespace-path-type", (*path, "path"), sentence, ""))


def _names(config: "Json", namespaces: "Json", out: "list[Finding]") -> None:
    for name, code in (("hostname", "hostname"), ("domainname", "domainname")):
        text = config.get(name, "")
        if text and "uts" not in namespaces:
            sentence = f"unable to set {name} without a private UTS namespace: it would be the host's that changes"
            out.append((f"{code}-no-uts-namespace", (name,), sentence, 'add {"type": "uts"} to linux.namespaces'))
        if len(text.encode("utf-8", "replace")) > HOST_NAME_MAX:
            out.append((f"{code}-too-long", (name,), f"the kernel takes at most {HOST_NAME_MAX} bytes", ""))


def _mount(mount: "Json", user_namespace: bool, path: "Path", out: "list[Finding]") -> None:
    options = mount.get("options", ())
    mapped = "uidMappings" in mount, "gidMappings" in mount
    if mapped != (False, False):
        if mapped != (True, True):
            sentence = "uidMappings and gidMappings of a mount must be given together"
            out.append(("mount-mappings-incomplete", path, sentence, ""))
        for name in ("uidMappings", "gidMappings"):
            mappings(mount.get(name, ()), (*path, name), out)
    for number, option in enumerate(options):
        if option in ("idmap", "ridmap") and mapped == (False, False) and not user_namespace:
            sentence = f"{option} without uidMappings and gidMappings, and without a user namespace to take them from"
            out.append(("mount-idmap-no-mappings", (*path, "options", number), sentence, ""))
    if "bind" in options or "rbind" in options:
        if not mount.get("source") and "remount" not in options:
            out.append(("mount-bind-source", path, "a bind mount needs a source", ""))
    elif not mount.get("type") and "remount" not in options and not any(word in PROPAGATION for word in options):
        sentence = "a mount that is no bind mount needs a type"
        out.append(("mount-type-required", path, sentence, 'or "bind" among its options'))


def mappings(entries: "list[Json]", path: "Path", out: "list[Finding]") -> None:
    """Ranges of ids: none empty, none beyond 32 bits, no two overlapping on either side."""
    for number, entry in enumerate(entries):
        size = entry.get("size", 1)
        if size == 0:
            out.append(("mapping-empty", (*path, number, "size"), "a mapping of no ids", ""))
        for name in ("containerID", "hostID"):
            first = entry.get(name, 0)
            if first + size > 2**32 - 1:  # 4294967295 itself means "no id"
                sentence = f"{first} and {size} more ids end beyond 4294967294"
                out.append(("mapping-exceeds", (*path, number, name), sentence, ""))
    for name in ("containerID", "hostID"):
        ranges = sorted((entry[name], entry.get("size", 1), i) for i, entry in enumerate(entries) if name in entry)
        for (first, size, one), (second, _, other) in zip(ranges, ranges[1:]):
            if first + size > second:
                sentence = f"ids from {second} on are mapped already by [{min(one, other)}]"
                out.append(("mapping-overlap", (*path, max(one, other), name), sentence, ""))


def _time_offsets(offsets: "Json", namespace: "Json | None", out: "list[Finding]") -> None:
    for clock in ("monotonic", "boottime"):
        if clock not in offsets:
            continue
        if namespace is None or "path" in namespace:
            sentence = "timeOffsets need a new time namespace"
            hint = "offsets of a joined one are fixed" if namespace else 'add {"type": "time"} to linux.namespaces'
            out.append(("time-offsets-no-namespace", ("linux", "timeOffsets", clock), sentence, hint))
        if offsets[clock].get("nanosecs", 0) > 999_999_999:
            sentence = "nanosecs are at most 999999999"
            out.append(("time-offset-nanosecs", ("linux", "timeOffsets", clock, "nanosecs"), sentence, "use secs"))


def _hidden_paths(paths: "list[str]", name: str, own_mounts: bool, out: "list[Finding]") -> None:
    if not own_mounts:
        sentence = "unable to restrict sys entries without a private MNT namespace: it would be the host's that change"
        out.append(("paths-no-mount-namespace", ("linux", name), sentence, 'add {"type": "mount"} to linux.namespaces'))
    for number, target in enumerate(paths):
        if target[:1] != "/":
            sentence = f'"{target}" is not an absolute path'
            out.append(("hidden-path-relative", ("linux", name, number), sentence, ""))


def _devices(entries: "list[Json]", out: "list[Finding]") -> None:
    seen: "dict[str, tuple[object, ...]]" = {}
    for number, entry in enumerate(entries):
        path: "Path" = ("linux", "devices", number)
        target, kind = entry.get("path", "/"), entry.get("type", "p")
        if target[:1] != "/":
            sentence = f'the path of a device must be absolute, "{target}" is not'
            out.append(("device-path-relative", (*path, "path"), sentence, ""))
        if kind != "p":
            for name in ("major", "minor"):
                if name not in entry:
                    out.append(("device-number-required", path, f'a device of type {kind} needs "{name}"', ""))
                elif not 0 <= entry[name] < 2**32:
                    sentence = f"{entry[name]} is no {name} number"
                    out.append(("device-number-range", (*path, name), sentence, ""))
        identity = ("c" if kind == "u" else kind, entry.get("major"), entry.get("minor"))
        if seen.setdefault(target, identity) != identity:
            out.append(("device-conflict", (*path, "path"), f"{target} is another device already", ""))


def _net_devices(devices: "Json", own_network: bool, out: "list[Finding]") -> None:
    if not own_network:
        sentence = "netDevices need a network namespace"
        hint = 'add {"type": "network"} to linux.namespaces'
        out.append(("net-devices-no-network-namespace", ("linux", "netDevices"), sentence, hint))
    seen = set()
    for host, device in devices.items():
        path: "Path" = ("linux", "netDevices", host)
        if not _is_interface(host):
            out.append(("net-device-name", path, f'"{host}" is no name of a network device', ""))
        name = device.get("name", "") or host
        if name != host and not _is_interface(name):
            out.append(("net-device-name", (*path, "name"), f'"{name}" is no name of a network device', ""))
        if name in seen and "%d" not in name:
            out.append(("net-device-duplicate", path, f"two network devices would be {name} in the container", ""))
        seen.add(name)


def _is_interface(name: str) -> bool:
    """Whether the kernel takes the name (dev_valid_name): up to 15 bytes, no /, : or white space."""
    if name in ("", ".", "..") or len(name.encode("utf-8", "replace")) > 15:
        return False
    return not any(char in "/:" or char.isspace() for char in name)


def _sysctls(entries: "Json", namespaces: "Json", out: "list[Finding]") -> None:
    for key in entries:
        problem = sysctl_problem(key, namespaces)
        if problem:
            out.append((problem[0], ("linux", "sysctl", key), problem[1], problem[2]))


def sysctl_problem(key: str, namespaces: "Json") -> "tuple[str, str, str] | None":
    """Why a sysctl cannot be set for one container alone: code, sentence, hint."""
    dot, slash = key.find("."), key.find("/")
    # As sysctl(8): the separator that comes first separates, the other one is part of a name.
    name = key.translate({46: "/", 47: "."}) if slash >= 0 and (dot < 0 or slash < dot) else key
    parts = name.split(".")
    if "" in parts or len(parts) < 2 or any("/" in part and ".." in part.split("/") for part in parts):
        return "sysctl-name", f'"{key}" is no name of a sysctl', ""
    if parts[0] == "net":
        needed = "network"
    elif parts[:2] == ["fs", "mqueue"] or (parts[0] == "kernel" and len(parts) == 2 and parts[1] in IPC_SYSCTLS):
        needed = "ipc"
    elif name == "kernel.domainname":
        needed = "uts"
    elif parts[0] == "user":
        needed = "user"
    elif name == "kernel.hostname":
        sentence = f'sysctl "{key}" is not allowed: the property hostname sets it'
        return "sysctl-hostname", sentence, "use hostname"
    else:
        return "sysctl-not-namespaced", f'sysctl "{key}" is not in a separate kernel namespace', "set it on the host"
    if needed in namespaces:
        return None
    sentence = f'sysctl "{key}" is not in a separate kernel namespace: the container has no {needed} namespace'
    return "sysctl-no-namespace", sentence, f'add {{"type": "{needed}"}} to linux.namespaces'


def _seccomp(seccomp: "Json", path: "Path", out: "list[Finding]") -> None:
    default = seccomp.get("defaultAction", "")
    _errno(default, "defaultErrnoRet", seccomp, path, out)
    notify = default == "SCMP_ACT_NOTIFY"
    if notify:
        sentence = "SCMP_ACT_NOTIFY cannot be the default: the runtime itself would wait for the listener"
        out.append(("seccomp-notify-default", (*path, "defaultAction"), sentence, ""))
    for number, rule in enumerate(seccomp.get("syscalls", ())):
        action = rule.get("action", "")
        if "errnoRet" in rule:
            _errno(action, "errnoRet", rule, (*path, "syscalls", number), out)
        if action == "SCMP_ACT_NOTIFY":
            notify = True
            if "write" in rule.get("names", ()):
                where = (*path, "syscalls", number, "names", rule["names"].index("write"))
                sentence = "SCMP_ACT_NOTIFY cannot be used for write: the runtime needs it to hand over the listener"
                out.append(("seccomp-notify-write", where, sentence, ""))
    if notify and not seccomp.get("listenerPath"):
        sentence = "SCMP_ACT_NOTIFY is used, but there is no listenerPath to send the notifications to"
        out.append(("seccomp-notify-no-listener", path, sentence, ""))
    if seccomp.get("listenerMetadata") and not seccomp.get("listenerPath"):
        sentence = "listenerMetadata must not be set without listenerPath"
        out.append(("seccomp-metadata-no-listener", (*path, "listenerMetadata"), sentence, ""))


def _errno(action: str, name: str, holder: "Json", path: "Path", out: "list[Finding]") -> None:
    if name not in holder or not action:
        return
    if action not in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        sentence = f"errno value specified for action {action}, which takes none"
        out.append(("seccomp-errno-action", (*path, name), sentence, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"))
    elif holder[name] > (4095 if action == "SCMP_ACT_ERRNO" else 65535):
        out.append(("seccomp-errno-range", (*path, name), f"{holder[name]} is no errno", ""))


def _rdt(rdt: "Json", out: "list[Finding]") -> None:
    path: "Path" = ("linux", "intelRdt")
    group = rdt.get("closID", "")
    if group in (".", "..") or ("/" in group and group != "/") or "\n" in group:
        out.append(("rdt-clos-id", (*path, "closID"), f'"{group}" is no name of a directory in resctrl', ""))
    for number, line in enumerate(rdt.get("schemata", ())):
        if "\n" in line:
            out.append(("newline", (*path, "schemata", number), "must not contain newlines", "one line an entry"))
    if "\n" in rdt.get("memBwSchema", ""):
        out.append(("newline", (*path, "memBwSchema"), "must not contain newlines", ""))


def _memory_policy(policy: "Json", out: "list[Finding]") -> None:
    path: "Path" = ("linux", "memoryPolicy")
    mode, nodes, flags = policy.get("mode", ""), policy.get("nodes", ""), policy.get("flags", ())
    number_list(nodes, (*path, "nodes"), out)
    if mode in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        if nodes.strip():
            out.append(("memory-policy-nodes", (*path, "nodes"), f"{mode} takes no nodes", ""))
        if flags:
            out.append(("memory-policy-flags", (*path, "flags"), f"{mode} takes no flags", ""))
    elif mode and mode != "MPOL_PREFERRED" and not nodes.strip():
        out.append(("memory-policy-nodes", path, f"{mode} needs nodes", ""))
    if "MPOL_F_STATIC_NODES" in flags and "MPOL_F_RELATIVE_NODES" in flags:
        sentence = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        out.append(("memory-policy-flags", (*path, "flags"), sentence, ""))
    elif "MPOL_F_NUMA_BALANCING" in flags and mode not in ("MPOL_BIND", "MPOL_PREFERRED_MANY", "MPOL_DEFAULT", ""):
        sentence = f"{mode} does not take MPOL_F_NUMA_BALANCING"
        out.append(("memory-policy-flags", (*path, "flags"), sentence, "MPOL_BIND and MPOL_PREFERRED_MANY do"))


def resource_rules(resources: "Json", path: "Path", out: "list[Finding]") -> None:
    """Every MUST of linux.resources, also of those given to update."""
    if "memory" in resources:
        _memory(resources["memory"], (*path, "memory"), out)
    if "cpu" in resources:
        _cpu(resources["cpu"], (*path, "cpu"), out)
    if "blockIO" in resources:
        _block_io(resources["blockIO"], (*path, "blockIO"), out)
    for number, rule in enumerate(resources.get("devices", ())):
        for name in ("major", "minor"):
            if rule.get(name, 0) < -1:
                sentence = f"{rule[name]} is neither a {name} number nor -1 for all"
                out.append(("device-rule-number", (*path, "devices", number, name), sentence, ""))
        if rule.get("access", "")[-1:] == "\n":
            out.append(("newline", (*path, "devices", number, "access"), "must not contain newlines", ""))
    for number, limit in enumerate(resources.get("hugepageLimits", ())):
        if limit.get("pageSize", "")[-1:] == "\n":
            out.append(("newline", (*path, "hugepageLimits", number, "pageSize"), "must not contain newlines", ""))
    for name, device in resources.get("rdma", {}).items():
        if "hcaHandles" not in device and "hcaObjects" not in device:
            sentence = "at least one of hcaHandles and hcaObjects must be given"
            out.append(("rdma-empty", (*path, "rdma", name), sentence, ""))
    for name in resources.get("unified", ()):
        if "/" in name or "." not in name or name.startswith("."):
            sentence = f'"{name}" is no file of a cgroup'
            out.append(("unified-name", (*path, "unified", name), sentence, "such as memory.high or cgroup.freeze"))


def _memory(memory: "Json", path: "Path", out: "list[Finding]") -> None:
    for name in ("limit", "reservation", "swap", "kernel", "kernelTCP"):
        if memory.get(name, 0) < -1:
            sentence = f"{memory[name]} is neither a number of bytes nor -1 for no limit"
            out.append(("memory-negative", (*path, name), sentence, ""))
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit > 0 and 0 < swap < limit:
        sentence = f"memory+swap limit should be >= memory limit: swap {swap} is below limit {limit}"
        out.append(("memory-swap-below-limit", (*path, "swap"), sentence, "swap is the sum of memory and swap"))


def _cpu(cpu: "Json", path: "Path", out: "list[Finding]") -> None:
    quota, burst, period = cpu.get("quota", 0), cpu.get("burst", 0), cpu.get("period", 0)
    if quota > 0 and burst > quota:
        sentence = f"burst {burst} must not be larger than quota {quota}"
        out.append(("cpu-burst-above-quota", (*path, "burst"), sentence, ""))
    if period and not 1000 <= period <= 1_000_000:
        sentence = f"a period is from 1000 to 1000000 microseconds, {period} is not"
        out.append(("cpu-period-range", (*path, "period"), sentence, ""))
    if 0 < quota < 1000:
        sentence = f"a quota is at least 1000 microseconds, {quota} is not"
        out.append(("cpu-quota-range", (*path, "quota"), sentence, "-1 for no limit"))
    realtime, length = cpu.get("realtimeRuntime", 0), cpu.get("realtimePeriod", 0)
    if length and realtime > length:
        sentence = f"realtimeRuntime {realtime} is longer than realtimePeriod {length}"
        out.append(("cpu-realtime-range", (*path, "realtimeRuntime"), sentence, ""))
    if cpu.get("idle", 0) not in (0, 1):
        out.append(("cpu-idle-range", (*path, "idle"), "idle is 0 or 1", ""))
    for name in ("cpus", "mems"):
        number_list(cpu.get(name, ""), (*path, name), out)


def _block_io(block: "Json", path: "Path", out: "list[Finding]") -> None:
    for name, entries in block.items():
        if name not in (
            "weightDevice",
            "throttleReadBpsDevice",
            "throttleWriteBpsDevice",
            "throttleReadIOPSDevice",
            "throttleWriteIOPSDevice",
        ):
            continue
        for number, entry in enumerate(entries):
            if name == "weightDevice" and "weight" not in entry and "leafWeight" not in entry:
                sentence = "at least one of weight and leafWeight must be given"
                out.append(("block-io-weight-missing", (*path, name, number), sentence, ""))
            for part in ("major", "minor"):
                if not 0 <= entry.get(part, 0) < 2**32:
                    sentence = f"{entry[part]} is no {part} number"
                    out.append(("device-number-range", (*path, name, number, part), sentence, ""))

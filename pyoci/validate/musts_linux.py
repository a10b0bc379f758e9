"""The second layer, Linux part: what config.md and config-linux.md demand of a config for Linux."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json, Path

HOST_NAME_MAX = 64  # uname(2)
RARE = ("timeOffsets", "netDevices", "intelRdt", "memoryPolicy", "personality")


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
            _mappings(linux[name], ("linux", name), out)
        elif "user" in namespaces and "path" not in namespaces["user"]:
            number = linux["namespaces"].index(namespaces["user"])
            sentence = f"User namespaces enabled, but no {name[:3]} mappings found"  # scripts know it from runc
            hint = f"a new user namespace needs {name}"
            out.append(("user-namespace-no-mappings", ("linux", "namespaces", number), sentence, hint))
    for name in ("maskedPaths", "readonlyPaths"):
        if linux.get(name):
            _hidden_paths(linux[name], name, "mount" in namespaces, out)
    if linux.get("devices"):
        from pyoci.validate.musts_rare import devices

        devices(linux["devices"], out)
    if linux.get("sysctl"):
        _sysctls(linux["sysctl"], namespaces, out)
    if "seccomp" in linux:
        _seccomp(linux["seccomp"], ("linux", "seccomp"), out)
    if any(name in linux for name in RARE):
        from pyoci.validate.musts_rare import rare_linux_rules

        rare_linux_rules(linux, namespaces, out)
    if "resources" in linux:
        resource_rules(linux["resources"], ("linux", "resources"), out)


def _namespaces(entries: "list[Json]", out: "list[Finding]") -> None:
    seen = set()
    for number, entry in enumerate(entries):
        kind = entry.get("type")
        path: "Path" = ("linux", "namespaces", number)
        if kind and kind in seen:
            sentence = f'malformed spec file: duplicated ns {{"{kind}" "{entry.get("path", "")}"}}'
            out.append(("namespace-duplicate", path, sentence, "keep one of the entries"))
        seen.add(kind)
        if "path" not in entry:
            continue
        target = entry["path"]
        if target[:1] != "/":
            sentence = f'the path of a namespace must be absolute, "{target}" is not'
            out.append(("namespace-path-relative", (*path, "path"), sentence, "leave path out for a new namespace"))
        elif target.startswith("/proc/") and "/ns/" in target:
            from pyoci.linux.names import namespace_of

            other = namespace_of(target.rpartition("/ns/")[2])
            if other and kind and other != kind:
                sentence = f"failed to setns into {kind} namespace: {target} is of type {other}"
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
            _mappings(mount.get(name, ()), (*path, name), out)
    for number, option in enumerate(options):
        if option in ("idmap", "ridmap") and mapped == (False, False) and not user_namespace:
            sentence = f"{option} without uidMappings and gidMappings, and without a user namespace to take them from"
            out.append(("mount-idmap-no-mappings", (*path, "options", number), sentence, ""))
    if "bind" in options or "rbind" in options:
        if not mount.get("source") and "remount" not in options:
            out.append(("mount-bind-source", path, "a bind mount needs a source", ""))
    elif not mount.get("type") and "remount" not in options and not _propagates(options):
        sentence = "a mount that is not a bind mount needs a type"
        out.append(("mount-type-required", path, sentence, 'or "bind" among its options'))


def _mappings(entries: "list[Json]", path: "Path", out: "list[Finding]") -> None:
    from pyoci.validate.musts_rare import mappings

    mappings(entries, path, out)


def _hidden_paths(paths: "list[str]", name: str, own_mounts: bool, out: "list[Finding]") -> None:
    if not own_mounts:
        sentence = "unable to restrict sys entries without a private MNT namespace: it would be the host's that change"
        out.append(("paths-no-mount-namespace", ("linux", name), sentence, 'add {"type": "mount"} to linux.namespaces'))
    for number, target in enumerate(paths):
        if target[:1] != "/":
            sentence = f'"{target}" is not an absolute path'
            out.append(("hidden-path-relative", ("linux", name, number), sentence, ""))


def _propagates(options: "list[str]") -> bool:
    from pyoci.linux.names import PROPAGATION

    return any(word in PROPAGATION or (word[:1] == "r" and word[1:] in PROPAGATION) for word in options)


def _sysctls(entries: "Json", namespaces: "Json", out: "list[Finding]") -> None:
    for key in entries:
        problem = sysctl_problem(key, namespaces)
        if problem:
            out.append((problem[0], ("linux", "sysctl", key), problem[1], problem[2]))


def sysctl_problem(key: str, namespaces: "Json") -> "tuple[str, str, str] | None":
    """Why a sysctl cannot be set for one container alone: code, sentence, hint."""
    from pyoci.linux.sysctl import namespace_of, path_of, refusal

    path = path_of(key)
    if not path:
        return "sysctl-name", f'sysctl "{key}" is not in a separate kernel namespace: it is not a name of a sysctl', ""
    if path == "kernel/hostname":
        sentence = f'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field'
        return "sysctl-hostname", sentence, "use hostname"
    needed = namespace_of(path)
    if not needed:
        return "sysctl-not-namespaced", f'sysctl "{key}" is not in a separate kernel namespace', "set it on the host"
    if needed in namespaces:
        return None
    return "sysctl-no-namespace", refusal(key, needed), f'add {{"type": "{needed}"}} to linux.namespaces'


def _seccomp(seccomp: "Json", path: "Path", out: "list[Finding]") -> None:
    default = seccomp.get("defaultAction", "")
    _errno(default, "defaultErrnoRet", seccomp, path, out)
    notify = default == "SCMP_ACT_NOTIFY"
    if notify:
        sentence = "SCMP_ACT_NOTIFY cannot be used as default action: the runtime itself would wait"
        out.append(("seccomp-notify-default", (*path, "defaultAction"), sentence, ""))
    for number, rule in enumerate(seccomp.get("syscalls", ())):
        action = rule.get("action", "")
        if "errnoRet" in rule:
            _errno(action, "errnoRet", rule, (*path, "syscalls", number), out)
        if action == "SCMP_ACT_NOTIFY":
            notify = True
            if "write" in rule.get("names", ()):
                where = (*path, "syscalls", number, "names", rule["names"].index("write"))
                sentence = "SCMP_ACT_NOTIFY cannot be used for the write syscall: it hands over the listener"
                out.append(("seccomp-notify-write", where, sentence, ""))
    if notify and not seccomp.get("listenerPath"):
        sentence = "listenerPath is not set: SCMP_ACT_NOTIFY has nobody to send its notifications to"
        out.append(("seccomp-notify-no-listener", path, sentence, ""))
    if seccomp.get("listenerMetadata") and not seccomp.get("listenerPath"):
        sentence = "listenerMetadata must not be set without listenerPath"
        out.append(("seccomp-metadata-no-listener", (*path, "listenerMetadata"), sentence, "leave it out"))


def _errno(action: str, name: str, holder: "Json", path: "Path", out: "list[Finding]") -> None:
    if name not in holder or not action:
        return
    if action not in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        sentence = f"errno value specified for action {action}, which takes none"
        out.append(("seccomp-errno-action", (*path, name), sentence, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"))
    elif holder[name] > (4095 if action == "SCMP_ACT_ERRNO" else 65535):
        out.append(("seccomp-errno-range", (*path, name), f"{holder[name]} is not an errno", ""))


def resource_rules(resources: "Json", path: "Path", out: "list[Finding]") -> None:
    """Every MUST of linux.resources, also of those given to update."""
    if "memory" in resources:
        _memory(resources["memory"], (*path, "memory"), out)
    if "cpu" in resources:
        _cpu(resources["cpu"], (*path, "cpu"), out)
    for number, rule in enumerate(resources.get("devices", ())):
        for name in ("major", "minor"):
            if rule.get(name, 0) < -1:
                sentence = f"{rule[name]} is neither a {name} number nor -1 for all"
                out.append(("device-rule-number", (*path, "devices", number, name), sentence, ""))
        if rule.get("access", "")[-1:] == "\n":
            out.append(("newline", (*path, "devices", number, "access"), "must not contain newlines", ""))
    devices = any(name not in ("weight", "leafWeight") for name in resources.get("blockIO", ()))
    if devices or "hugepageLimits" in resources or "rdma" in resources or "unified" in resources:
        from pyoci.validate.musts_rare import rare_resource_rules

        rare_resource_rules(resources, path, out)


def _memory(memory: "Json", path: "Path", out: "list[Finding]") -> None:
    for name in ("limit", "reservation", "swap", "kernel", "kernelTCP"):
        if memory.get(name, 0) < -1:
            sentence = f"{memory[name]} is neither a number of bytes nor -1 for no limit"
            out.append(("memory-negative", (*path, name), sentence, ""))
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit > 0 and 0 < swap < limit:
        sentence = f"memory+swap limit should be >= memory limit: swap {swap} is below limit {limit}"
        out.append(("memory-swap-below-limit", path, sentence, "swap is the sum of memory and swap"))


def _cpu(cpu: "Json", path: "Path", out: "list[Finding]") -> None:
    quota, burst, period = cpu.get("quota", 0), cpu.get("burst", 0), cpu.get("period", 0)
    if quota > 0 and burst > quota:
        sentence = f"burst {burst} must not be larger than quota {quota}"
        out.append(("cpu-burst-above-quota", path, sentence, ""))
    if period and not 1000 <= period <= 1_000_000:
        sentence = f"a period is from 1000 to 1000000 microseconds, {period} is not"
        out.append(("cpu-period-range", (*path, "period"), sentence, ""))
    if 0 < quota < 1000:
        sentence = f"a quota is at least 1000 microseconds, {quota} is not"
        out.append(("cpu-quota-range", (*path, "quota"), sentence, "-1 for no limit"))
    realtime, length = cpu.get("realtimeRuntime", 0), cpu.get("realtimePeriod", 0)
    if length and realtime > length:
        sentence = f"realtimeRuntime {realtime} is longer than realtimePeriod {length}"
        out.append(("cpu-realtime-range", path, sentence, ""))
    if cpu.get("idle", 0) not in (0, 1):
        out.append(("cpu-idle-range", (*path, "idle"), "idle is 0 or 1", ""))
    if "cpus" in cpu or "mems" in cpu:
        from pyoci.validate.musts_rare import number_list

        for name in ("cpus", "mems"):
            number_list(cpu.get(name, ""), (*path, name), out)

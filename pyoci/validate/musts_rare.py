"""The second layer, rare parts: properties that engines hardly ever write, so that their rules are loaded when met."""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json, Path


def rare_process_rules(process: "Json", path: "Path", out: "list[Finding]") -> None:
    """Every MUST of a process that musts leaves to this module."""
    if "consoleSize" in process and process.get("terminal"):
        _console(process["consoleSize"], (*path, "consoleSize"), out)
    if "scheduler" in process:
        _scheduler(process["scheduler"], (*path, "scheduler"), out)
    if "execCPUAffinity" in process:
        for name in ("initial", "final"):
            number_list(process["execCPUAffinity"].get(name, ""), (*path, "execCPUAffinity", name), out)


def rare_linux_rules(linux: "Json", namespaces: "Json", out: "list[Finding]") -> None:
    """Every MUST of the Linux part that musts_linux leaves to this module."""
    if "timeOffsets" in linux:
        _time_offsets(linux["timeOffsets"], namespaces.get("time"), out)
    if linux.get("netDevices"):
        _net_devices(linux["netDevices"], "network" in namespaces, out)
    if "intelRdt" in linux:
        _rdt(linux["intelRdt"], out)
    if "memoryPolicy" in linux:
        _memory_policy(linux["memoryPolicy"], out)
    for number, flag in enumerate(linux.get("personality", {}).get("flags", ())):
        sentence = f'no flag of a personality is defined, "{flag}" neither'
        out.append(("personality-flag", ("linux", "personality", "flags", number), sentence, ""))


def rare_resource_rules(resources: "Json", path: "Path", out: "list[Finding]") -> None:
    """Every MUST of resources that musts_linux leaves to this module."""
    if "blockIO" in resources:
        _block_io(resources["blockIO"], (*path, "blockIO"), out)
    for number, limit in enumerate(resources.get("hugepageLimits", ())):
        if limit.get("pageSize", "")[-1:] == "\n":
            out.append(("newline", (*path, "hugepageLimits", number, "pageSize"), "must not contain newlines", ""))
    for name, device in resources.get("rdma", {}).items():
        if "hcaHandles" not in device and "hcaObjects" not in device:
            sentence = "at least one of hcaHandles and hcaObjects must be given"
            out.append(("rdma-empty", (*path, "rdma", name), sentence, ""))
    for name in resources.get("unified", ()):
        if "/" in name or "." not in name or name.startswith("."):
            sentence = f'"{name}" is not a file of a cgroup'
            out.append(("unified-name", (*path, "unified", name), sentence, "such as memory.high or cgroup.freeze"))


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
                sentence = f"{name}: ids from {second} on are mapped already by [{min(one, other)}]"
                out.append(("mapping-overlap", (*path, max(one, other)), sentence, ""))


def devices(entries: "list[Json]", out: "list[Finding]") -> None:
    """Devices of the container: absolute paths, numbers in range, no two different ones in one place."""
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
                    sentence = f'a device of type {kind} needs "{name}"'
                    out.append(("device-number-required", (*path, name), sentence, ""))
                elif not 0 <= entry[name] < 2**32:
                    sentence = f"{entry[name]} is no {name} number"
                    out.append(("device-number-range", (*path, name), sentence, ""))
        identity = ("c" if kind == "u" else kind, entry.get("major"), entry.get("minor"))
        if seen.setdefault(target, identity) != identity:
            out.append(("device-conflict", (*path, "path"), f"{target} is another device already", ""))


def _console(size: "Json", path: "Path", out: "list[Finding]") -> None:
    for name in ("height", "width"):
        if size.get(name, 0) > 65535:
            out.append(("console-size-range", (*path, name), "a terminal has at most 65535 rows and columns", ""))


def _scheduler(scheduler: "Json", path: "Path", out: "list[Finding]") -> None:
    policy = scheduler.get("policy", "")
    nice, priority = scheduler.get("nice", 0), scheduler.get("priority", 0)
    if policy in ("SCHED_OTHER", "SCHED_BATCH") and not -20 <= nice <= 19:
        out.append(("scheduler-nice-range", (*path, "nice"), f"nice is from -20 to 19, {nice} is not", ""))
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        if not 1 <= priority <= 99:
            sentence = f"the priority of {policy} is from 1 to 99, {priority} is not"
            out.append(("scheduler-priority-range", (*path, "priority"), sentence, ""))
    elif priority and policy:
        sentence = f"{policy} takes no priority"
        out.append(("scheduler-priority-policy", (*path, "priority"), sentence, "only SCHED_FIFO and SCHED_RR do"))
    if policy == "SCHED_DEADLINE":
        _deadline(scheduler, path, out)
    elif policy:
        for name in ("runtime", "deadline", "period"):
            if scheduler.get(name):
                sentence = f"{policy} takes no {name}"
                out.append(("scheduler-deadline-policy", (*path, name), sentence, "only SCHED_DEADLINE does"))


def _deadline(scheduler: "Json", path: "Path", out: "list[Finding]") -> None:
    runtime, deadline = scheduler.get("runtime", 0), scheduler.get("deadline", 0)
    period = scheduler.get("period", 0) or deadline
    if not 1024 <= runtime <= deadline <= period < 2**63:
        sentence = "SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period"
        out.append(("scheduler-deadline-order", path, sentence, "all three are in nanoseconds"))


def number_list(text: str, path: "Path", out: "list[Finding]") -> None:
    """A list of CPUs or memory nodes."""
    from pyoci.linux.number_list import parse

    try:
        parse(text, "")
    except Error as problem:
        out.append(("cpu-list", path, problem.text, problem.hint))


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
    elif mode == "MPOL_PREFERRED" and flags and not nodes.strip():
        out.append(("memory-policy-flags", (*path, "flags"), f"{mode} without nodes takes no flags", ""))
    if "MPOL_F_STATIC_NODES" in flags and "MPOL_F_RELATIVE_NODES" in flags:
        sentence = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        out.append(("memory-policy-flags", (*path, "flags"), sentence, ""))
    elif "MPOL_F_NUMA_BALANCING" in flags and mode not in ("MPOL_BIND", "MPOL_PREFERRED_MANY", "MPOL_DEFAULT", ""):
        sentence = f"{mode} does not take MPOL_F_NUMA_BALANCING"
        out.append(("memory-policy-flags", (*path, "flags"), sentence, "MPOL_BIND and MPOL_PREFERRED_MANY do"))


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

"""The second layer, other platforms: as far as config.md and their own documents demand something."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json


def other_rules(config: "Json", target: str, out: "list[Finding]") -> None:
    """Every MUST of Windows, z/OS, Solaris, FreeBSD and virtual machines."""
    if "vm" in config:
        _machine(config["vm"], out)
    if target == "linux":
        return
    for number, mount in enumerate(config.get("mounts", ())):
        destination = mount.get("destination", "/")
        absolute = destination[:1] == "/" or (target == "windows" and _is_windows_path(destination))
        if not absolute:
            sentence = f'the destination of a mount must be absolute, "{destination}" is not'
            out.append(("mount-destination-relative", ("mounts", number, "destination"), sentence, ""))
    if target == "windows":
        _windows(config, out)
    if target == "zos":
        _zos(config["zos"], out)


def _is_windows_path(path: str) -> bool:
    return path[:1] == "\\" or path[1:3] in (":\\", ":/")


def _machine(machine: "Json", out: "list[Finding]") -> None:
    places = (("hypervisor", "path"), ("kernel", "path"), ("kernel", "initrd"), ("image", "path"))
    for part, name in places:
        target = machine.get(part, {}).get(name, "/")
        if target[:1] != "/":
            sentence = f'"{target}" is not an absolute path'
            out.append(("vm-path-relative", ("vm", part, name), sentence, ""))


def _windows(config: "Json", out: "list[Finding]") -> None:
    windows, root = config["windows"], config.get("root", {})
    if "hyperv" in windows:
        if "root" in config:
            out.append(("windows-hyperv-root", ("root",), "root must not be set for a Hyper-V container", ""))
        if "jobContainer" in windows:
            sentence = "hyperv and jobContainer exclude each other"
            out.append(("windows-isolation", ("windows", "jobContainer"), sentence, ""))
    elif "path" in root and not root["path"].startswith("\\\\?\\Volume{"):
        sentence = "on Windows root.path must be a volume GUID path"
        out.append(("windows-root-path", ("root", "path"), sentence, ""))
    if root.get("readonly"):
        out.append(("windows-root-readonly", ("root", "readonly"), "on Windows root cannot be read-only", ""))
    network = windows.get("network", {})
    if "networkNamespace" in network and len(network) > 1:
        sentence = "networkNamespace excludes every other network property"
        out.append(("windows-network", ("windows", "network", "networkNamespace"), sentence, ""))
    _windows_nesting(config, out)


def _windows_nesting(config: "Json", out: "list[Finding]") -> None:
    seen: "list[tuple[str, int]]" = []
    for number, mount in enumerate(config.get("mounts", ())):
        place = mount.get("destination", "").lower().replace("/", "\\").rstrip("\\") + "\\"
        for other, first in seen:
            if place.startswith(other) or other.startswith(place):
                sentence = f"a mount must not be nested within another, mounts[{first}]"
                out.append(("windows-mount-nested", ("mounts", number, "destination"), sentence, ""))
        seen.append((place, number))


def _zos(zos: "Json", out: "list[Finding]") -> None:
    seen = set()
    for number, entry in enumerate(zos.get("namespaces", ())):
        kind, target = entry.get("type"), entry.get("path", "/")
        if kind and kind in seen:
            sentence = f"two namespaces of type {kind}"
            out.append(("namespace-duplicate", ("zos", "namespaces", number), sentence, ""))
        seen.add(kind)
        if target[:1] != "/":
            sentence = f'the path of a namespace must be absolute, "{target}" is not'
            out.append(("namespace-path-relative", ("zos", "namespaces", number, "path"), sentence, ""))

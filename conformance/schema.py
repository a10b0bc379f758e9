"""The state's and the features' shape, as the specification's JSON schemas have it: complaints in words."""

from typing import Any

STATE = {"ociVersion": str, "id": str, "status": str, "pid": int, "bundle": str, "annotations": dict}
STATE_REQUIRED = ("ociVersion", "id", "status", "bundle")
STATUSES = ("creating", "created", "running", "stopped")

FEATURES: dict[str, Any] = {
    "ociVersionMin": str,
    "ociVersionMax": str,
    "hooks": [str],
    "mountOptions": [str],
    "annotations": {"*": str},
    "potentiallyUnsafeConfigAnnotations": [str],
    "linux": {
        "namespaces": [str],
        "capabilities": [str],
        "cgroup": {"v1": bool, "v2": bool, "systemd": bool, "systemdUser": bool, "rdma": bool},
        "seccomp": {
            "enabled": bool,
            "actions": [str],
            "operators": [str],
            "archs": [str],
            "knownFlags": [str],
            "supportedFlags": [str],
        },
        "apparmor": {"enabled": bool},
        "selinux": {"enabled": bool},
        "intelRdt": {"enabled": bool, "schemata": bool, "monitoring": bool},
        "memoryPolicy": {"modes": [str], "flags": [str]},
        "mountExtensions": {"idmap": {"enabled": bool}},
        "netDevices": {"enabled": bool},
    },
}

# properties that came after 1.1.0, and with which version
FEATURES_SINCE = {
    "potentiallyUnsafeConfigAnnotations": "1.2.0",
    "linux.mountExtensions": "1.2.0",
    "linux.intelRdt.schemata": "1.3.0",
    "linux.intelRdt.monitoring": "1.3.0",
    "linux.memoryPolicy": "1.3.0",
    "linux.netDevices": "1.3.0",
}


def state_complaints(state: dict[str, Any]) -> list[str]:
    """What a state lacks or has in the wrong type; empty for a good one."""
    complaints = [f"{name} is missing" for name in STATE_REQUIRED if name not in state]
    for name, kind in STATE.items():
        if name in state and (not isinstance(state[name], kind) or isinstance(state[name], bool)):
            complaints.append(f"{name} is {state[name]!r}")
    if state.get("status") not in STATUSES:
        complaints.append(f"status is {state.get('status')!r}")
    if isinstance(state.get("pid"), int) and state["pid"] < 0:
        complaints.append(f"pid is {state['pid']}")
    for key, value in (state.get("annotations") or {}).items():
        if not isinstance(value, str):
            complaints.append(f"annotation {key} is {value!r}")
    return complaints


def undefined_features(structure: dict[str, Any], version: str) -> list[str]:
    """Properties that the features structure of this version of the specification does not define.

    The structure came with 1.1.0: a runtime that gives an older version is held against that.
    """
    from conformance.requirements import version_key

    found: list[str] = []
    limit = max(version_key(version), version_key("1.1.0"))

    def walk(value: Any, shape: Any, place: str) -> None:
        if not isinstance(value, dict) or not isinstance(shape, dict) or "*" in shape:
            return
        for key, inner in value.items():
            path = f"{place}.{key}" if place else key
            since = FEATURES_SINCE.get(path, "1.1.0")
            if key not in shape or version_key(since) > limit:
                found.append(path)
            else:
                walk(inner, shape[key], path)

    walk(structure, FEATURES, "")
    return found

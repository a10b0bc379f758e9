"""The second layer for the other documents: state (runtime.md) and features (features.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyoci.validate import musts

if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json


def state_rules(state: Json, out: list[Finding]) -> None:
    """Every MUST of a container's state."""
    musts.version(state, "ociVersion", out)
    if state.get("status") in ("created", "running") and not state.get("pid"):
        out.append(("state-pid-required", ("pid",), f"a container that is {state['status']} has a pid", ""))
    bundle = state.get("bundle", "/")
    if bundle[:1] != "/":
        out.append(("state-bundle-relative", ("bundle",), f'"{bundle}" is not an absolute path', ""))
    musts.annotations(state.get("annotations", {}), ("annotations",), out)


def features_rules(features: Json, out: list[Finding]) -> None:
    """Every MUST of a features document."""
    for name in ("ociVersionMin", "ociVersionMax"):
        musts.version(features, name, out)
    low, high = musts.semver(features.get("ociVersionMin", "")), musts.semver(features.get("ociVersionMax", ""))
    if low and high and high < low:
        sentence = "ociVersionMax must not be less than ociVersionMin"
        out.append(("features-version-order", ("ociVersionMax",), sentence, ""))
    musts.annotations(features.get("annotations") or {}, ("annotations",), out)

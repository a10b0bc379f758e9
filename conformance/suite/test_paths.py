"""config-linux.md: masked and read-only paths, propagation of the root, labels of mounts."""

import pytest

from conformance import host
from conformance.case import Case

EROFS = 30
MS_BIND, MS_PRIVATE, MS_SHARED = 4096, 1 << 18, 1 << 20


@pytest.mark.judges("linux.masked-paths.file", "linux.masked-paths.directory")
def test_masked_paths(case: Case) -> None:
    paths = ["/masked", "/data/file", "/proc/kcore", "/no/such/path"]
    verbs = ("read:/data/file", "list:/masked", "read:/masked/secret", "read:/proc/version")
    seen = case.observe(case.config(linux={"maskedPaths": paths}), *verbs)
    text = seen.did("read", "/data/file").get("text", "")
    case.equal("linux.masked-paths.file", "what can be read of a masked file", "", text)
    names = seen.did("list").get("names", [])
    case.equal("linux.masked-paths.directory", "names in a masked directory", [], names)
    inside = seen.did("read", "/masked/secret").get("text", "")
    case.equal("linux.masked-paths.directory", "what can be read of a file in it", "", inside)
    other = seen.did("read", "/proc/version").get("text", "")
    case.judge("linux.masked-paths.file", other, "a file that is not masked can be read", other[:40])


@pytest.mark.judges("linux.readonly-paths")
def test_readonly_paths(case: Case) -> None:
    config = case.config(linux={"readonlyPaths": ["/data", "/proc/sys", "/no/such/path"]})
    verbs = ["write:/data/file=x", "write:/data/new=x", "mkdir:/data/newdir"]
    if not case.session.rootless:  # an ordinary user may not write there in any case
        verbs.append("open:w:/proc/sys/net/ipv4/ip_forward")
    seen = case.observe(config, *verbs, "write:/masked/secret=x", "read:/data/file")
    errors = [attempt["errno"] for attempt in seen["did"][: len(verbs)]]
    case.equal("linux.readonly-paths", "errors of writing in read-only paths", [EROFS] * len(verbs), errors)
    case.equal("linux.readonly-paths", "error of writing elsewhere", 0, seen.did("write", "/masked/secret")["errno"])
    text = seen.did("read").get("text")
    case.equal("linux.readonly-paths", "a file in it can be read", "data of the root filesystem\n", text)


def root_fields(case: Case, propagation: str) -> set[str]:
    seen = case.observe(case.config(linux={"rootfsPropagation": propagation}))
    mount = seen.mount("/")
    return {field.split(":")[0] for field in mount.peers} if mount else {"no mount"}


# a mount that receives from nowhere is a private one to look at: slave is judged with the host's mount shared
@pytest.mark.parametrize(
    ("propagation", "wanted"),
    [
        pytest.param(name, wanted, marks=pytest.mark.judges(f"linux.rootfs-propagation.{name}"))
        for name, wanted in (("shared", {"shared"}), ("private", set()), ("unbindable", {"unbindable"}))
    ],
)
def test_propagation_of_the_root(case: Case, propagation: str, wanted: set[str]) -> None:
    case.needs_root()
    found = root_fields(case, propagation) - ({"master"} if propagation == "shared" else set())
    name = f"linux.rootfs-propagation.{propagation}"
    case.equal(name, f"optional fields of the root mount with {propagation}", wanted, found)


@pytest.mark.judges("linux.rootfs-propagation.slave", "linux.rootfs-propagation.private")
def test_mounts_of_the_host_reach_a_slave(case: Case) -> None:
    case.needs_root()
    found: dict[str, list[str]] = {}
    for propagation in ("slave", "private"):
        bundle = case.bundle(case.config(linux={"rootfsPropagation": propagation}))
        bundle.config["process"]["args"] = ["/probe", "pause"]
        bundle.write()
        # the root filesystem of the container is a mount of its own on the host, in a peer group of its own
        host.mount(str(bundle.rootfs), str(bundle.rootfs), "none", MS_BIND)
        for flags in (MS_PRIVATE, MS_SHARED):
            host.mount("none", str(bundle.rootfs), "none", flags)
        container = case.container(bundle.config, bundle)
        created = container.create()
        if not created.ok:
            found[propagation] = [str(created)]
            continue
        host.mount("of-the-host", str(bundle.rootfs / "data"), "tmpfs")
        with open(f"/proc/{container.pid}/mountinfo") as mountinfo:
            found[propagation] = [line.split()[4] for line in mountinfo if "of-the-host" in line]
    asked = "a mount made on the host below the root, seen in the container"
    case.equal("linux.rootfs-propagation.slave", asked, ["/data"], found["slave"])
    case.equal("linux.rootfs-propagation.private", asked + " (not)", [], found["private"])


@pytest.mark.judges("linux.rootfs-propagation.error", "linux.mount-label")
def test_bad_values(case: Case) -> None:
    nonsense = case.config(linux={"rootfsPropagation": "nonsense"})
    case.refused("linux.rootfs-propagation.error", "the propagation nonsense", nonsense)
    label = "system_u:object_r:container_file_t:s0:c4,c5"
    config = case.config(linux={"mountLabel": label})
    if host.has_selinux():
        mount = case.observe(config).mount("/dev/shm")
        options = ",".join(mount.super_options | mount.options) if mount else "no mount"
        case.judge("linux.mount-label", label in options.replace('"', ""), f"context {label} on /dev/shm", options)
    else:
        case.refused("linux.mount-label", "a mount label on a host without SELinux", config)

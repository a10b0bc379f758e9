"""Each rule by at least one bad document: exactly its code at exactly its place, and nothing else."""

from typing import Any

import pytest
from validate_samples import CONFIG, FEATURES, GONE, STATE, changed, found

from pyoci import validate
from pyoci.container import listener
from pyoci.errors import Error
from pyoci.hostcheck.anyhost import everywhere
from pyoci.validate.catalog import CATALOG, ERRORS, NOT_REFUSED
from pyoci.validate.shoulds import config_advice

USER = {"type": "user"}
MAP = {"containerID": 0, "hostID": 1000, "size": 10}
SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW"}
RULE = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
NOTIFY = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}
WINDOWS = {
    "linux": GONE,
    "mounts": GONE,
    "windows": {"layerFolders": ["C:\\x"]},
    "root": {"path": "\\\\?\\Volume{1}\\"},
    "process": {"cwd": "C:\\x", "args": ["a.exe"]},
}
ZOS = {"linux": GONE, "zos": {"namespaces": [{"type": "pid"}]}}

# changes to the sound config, then every problem there is: code, place
CONFIGS: "list[tuple[dict[str, Any], list[tuple[str, str]]]]" = [
    # --- the schema: types
    ({"ociVersion": 1}, [("schema-type", "ociVersion")]),
    ({"root": []}, [("schema-type", "root")]),
    ({"root/readonly": "true"}, [("schema-type", "root.readonly")]),
    ({"mounts": {}}, [("schema-type", "mounts")]),
    ({"mounts/1": "x"}, [("schema-type", "mounts[1]")]),
    ({"mounts/0/options": "ro"}, [("schema-type", "mounts[0].options")]),
    ({"mounts/0/options": ["ro", None]}, [("schema-type", "mounts[0].options[1]")]),
    ({"process": None}, [("null-property", "process")]),
    ({"process/rlimits": None}, [("null-property", "process.rlimits")]),
    ({"hooks": {"poststop": None}}, [("null-property", "hooks.poststop")]),
    ({"unheard": None}, [("null-property", "unheard")]),
    ({"root/path": None}, [("null-property", "root.path"), ("schema-required", "root")]),
    ({"annotations": {"a.b": None}}, [("schema-type", 'annotations["a.b"]')]),
    ({"linux/resources": {"rdma": {"a": None}}}, [("schema-type", "linux.resources.rdma.a")]),
    ({"process/terminal": 1}, [("schema-type", "process.terminal")]),
    ({"process/args": "sh"}, [("schema-type", "process.args")]),
    ({"process/args/1": 5}, [("schema-type", "process.args[1]")]),
    ({"process/env": {"A": "b"}}, [("schema-type", "process.env")]),
    ({"process/user": 0}, [("schema-type", "process.user")]),
    ({"process/user/uid": "0"}, [("schema-type", "process.user.uid")]),
    ({"process/user/additionalGids": [1, 2.0]}, [("schema-type", "process.user.additionalGids[1]")]),
    ({"process/user/umask": True}, [("schema-type", "process.user.umask")]),
    ({"process/capabilities": ["CAP_KILL"]}, [("schema-type", "process.capabilities")]),
    ({"process/oomScoreAdj": "0"}, [("schema-type", "process.oomScoreAdj")]),
    ({"hostname": 5}, [("schema-type", "hostname")]),
    ({"annotations": {"a.b": 1}}, [("schema-type", 'annotations["a.b"]')]),
    ({"hooks": {"poststop": {}}}, [("schema-type", "hooks.poststop")]),
    ({"hooks": {"poststop": [{"path": "/x", "timeout": 1.5}]}}, [("schema-type", "hooks.poststop[0].timeout")]),
    ({"linux": []}, [("schema-type", "linux")]),
    ({"linux/namespaces/5": "user"}, [("schema-type", "linux.namespaces[5]")]),
    ({"linux/sysctl": {"net.a": 1}}, [("schema-type", 'linux.sysctl["net.a"]')]),
    ({"linux/resources": {"memory": {"limit": "1G"}}}, [("schema-type", "linux.resources.memory.limit")]),
    ({"linux/resources": {"memory": {"limit": 1e9}}}, [("schema-type", "linux.resources.memory.limit")]),
    ({"linux/resources": {"rdma": {"a": 1}}}, [("schema-type", "linux.resources.rdma.a")]),
    ({"linux/resources": {"unified": {"a.b": 1}}}, [("schema-type", 'linux.resources.unified["a.b"]')]),
    ({"linux/netDevices": {"eth0": {"name": 23}}}, [("schema-type", "linux.netDevices.eth0.name")]),
    ({"linux/intelRdt": {"schemata": "L3:0=f"}}, [("schema-type", "linux.intelRdt.schemata")]),
    ({"windows": {"layerFolders": ["x"], "credentialSpec": "x"}}, [("schema-type", "windows.credentialSpec")]),
    ({"solaris": {"cappedCPU": {"ncpus": 8}}}, [("schema-type", "solaris.cappedCPU.ncpus")]),
    ({"freebsd": {"jail": {"allow": {"mount": "tmpfs"}}}}, [("schema-type", "freebsd.jail.allow.mount")]),
    # --- the schema: words
    ({"process/scheduler": {"policy": "SCHED_OTHR"}}, [("schema-enum", "process.scheduler.policy")]),
    (
        {"process/scheduler": {"policy": "SCHED_OTHER", "flags": ["RECLAIM"]}},
        [("schema-enum", "process.scheduler.flags[0]")],
    ),
    ({"process/ioPriority": {"class": "RT", "priority": 0}}, [("schema-enum", "process.ioPriority.class")]),
    ({"linux/namespaces/0/type": "mnt"}, [("schema-enum", "linux.namespaces[0].type")]),
    ({"linux/devices": [{"type": "x", "path": "/dev/x"}]}, [("schema-enum", "linux.devices[0].type")]),
    ({"linux/rootfsPropagation": "priv"}, [("schema-enum", "linux.rootfsPropagation")]),
    ({"linux/seccomp": {"defaultAction": "SCMP_ACT_ALOW"}}, [("schema-enum", "linux.seccomp.defaultAction")]),
    ({"linux/seccomp": {**SECCOMP, "architectures": ["x86_64"]}}, [("schema-enum", "linux.seccomp.architectures[0]")]),
    ({"linux/seccomp": {**SECCOMP, "flags": ["LOG"]}}, [("schema-enum", "linux.seccomp.flags[0]")]),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{**RULE, "args": [{"index": 0, "value": 1, "op": "=="}]}]}},
        [("schema-enum", "linux.seccomp.syscalls[0].args[0].op")],
    ),
    ({"linux/memoryPolicy": {"mode": "BIND"}}, [("schema-enum", "linux.memoryPolicy.mode")]),
    ({"linux/personality": {"domain": "LINUX64"}}, [("schema-enum", "linux.personality.domain")]),
    (
        {"linux/resources": {"devices": [{"allow": True, "type": "u", "access": "r"}]}},
        [("schema-enum", "linux.resources.devices[0].type")],
    ),
    ({**ZOS, "zos": {"namespaces": [{"type": "user"}]}}, [("schema-enum", "zos.namespaces[0].type")]),
    ({"freebsd": {"jail": {"vnet": "disable"}}}, [("schema-enum", "freebsd.jail.vnet")]),
    (
        {"vm": {"kernel": {"path": "/k"}, "image": {"path": "/i", "format": "iso"}}},
        [("schema-enum", "vm.image.format")],
    ),
    # --- the schema: what is required
    ({"ociVersion": GONE}, [("schema-required", "")]),
    ({"root/path": GONE}, [("schema-required", "root")]),
    ({"mounts/0/destination": GONE}, [("schema-required", "mounts[0]")]),
    ({"process/cwd": GONE}, [("schema-required", "process")]),
    ({"process/consoleSize": {"height": 1}, "process/terminal": True}, [("zero-property", "process.consoleSize")]),
    ({"process/rlimits": [{"type": "RLIMIT_CORE", "soft": 0}]}, [("zero-property", "process.rlimits[0]")]),
    ({"process/scheduler": {"nice": 1}}, [("schema-required", "process.scheduler")]),
    ({"process/ioPriority": {"class": "IOPRIO_CLASS_BE"}}, [("zero-property", "process.ioPriority")]),
    ({"hooks": {"poststart": [{"args": ["x"]}]}}, [("schema-required", "hooks.poststart[0]")]),
    ({"linux/namespaces/0/type": GONE}, [("schema-required", "linux.namespaces[0]")]),
    (
        {"linux/namespaces/5": USER, "linux/uidMappings": [{"containerID": 0, "size": 1}], "linux/gidMappings": [MAP]},
        [("schema-required", "linux.uidMappings[0]")],
    ),
    ({"linux/seccomp": {}}, [("schema-required", "linux.seccomp")]),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{"names": ["a"]}]}},
        [("schema-required", "linux.seccomp.syscalls[0]")],
    ),
    ({"linux/personality": {}}, [("schema-required", "linux.personality")]),
    ({"linux/memoryPolicy": {"nodes": "0"}}, [("schema-required", "linux.memoryPolicy")]),
    (
        {"linux/resources": {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0}]}}},
        [("zero-property", "linux.resources.blockIO.throttleReadBpsDevice[0]")],
    ),
    (
        {"linux/resources": {"hugepageLimits": [{"pageSize": "2MB"}]}},
        [("zero-property", "linux.resources.hugepageLimits[0]")],
    ),
    ({"windows": {}}, [("schema-required", "windows")]),
    ({"vm": {}}, [("schema-required", "vm")]),
    # --- the schema: ranges, lengths, patterns
    ({"process/user/uid": -1}, [("schema-range", "process.user.uid")]),
    ({"process/user/gid": 2**32}, [("schema-range", "process.user.gid")]),
    ({"process/oomScoreAdj": 1001}, [("schema-range", "process.oomScoreAdj")]),
    (
        {"process/ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}},
        [("schema-range", "process.ioPriority.priority")],
    ),
    ({"hooks": {"poststop": [{"path": "/x", "timeout": 0}]}}, [("schema-range", "hooks.poststop[0].timeout")]),
    ({"linux/resources": {"memory": {"swappiness": 101}}}, [("schema-range", "linux.resources.memory.swappiness")]),
    ({"linux/resources": {"blockIO": {"weight": 65536}}}, [("schema-range", "linux.resources.blockIO.weight")]),
    ({"linux/resources": {"memory": {"limit": 2**63}}}, [("schema-range", "linux.resources.memory.limit")]),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{**RULE, "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}},
        [("schema-range", "linux.seccomp.syscalls[0].args[0].index")],
    ),
    ({"freebsd": {"jail": {"enforceStatfs": 3}}}, [("schema-range", "freebsd.jail.enforceStatfs")]),
    ({"root/path": ""}, [("schema-length", "root.path")]),
    ({"mounts/0/destination": ""}, [("schema-length", "mounts[0].destination")]),
    ({"hooks": {"poststop": [{"path": ""}]}}, [("schema-length", "hooks.poststop[0].path")]),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{**RULE, "names": []}]}},
        [("schema-length", "linux.seccomp.syscalls[0].names")],
    ),
    ({"windows": {"layerFolders": []}}, [("schema-length", "windows.layerFolders")]),
    ({"process/rlimits": [{"type": "NOFILE", "soft": 0, "hard": 0}]}, [("schema-pattern", "process.rlimits[0].type")]),
    ({"process/execCPUAffinity": {"initial": "all"}}, [("schema-pattern", "process.execCPUAffinity.initial")]),
    (
        {"linux/resources": {"hugepageLimits": [{"pageSize": "64kB", "limit": 1}]}},
        [("schema-pattern", "linux.resources.hugepageLimits[0].pageSize")],
    ),
    (
        {"linux/resources": {"devices": [{"allow": True, "access": "rx"}]}},
        [("schema-pattern", "linux.resources.devices[0].access")],
    ),
    ({"linux/intelRdt": {"memBwSchema": "0=20"}}, [("schema-pattern", "linux.intelRdt.memBwSchema")]),
    # --- unknown names
    ({"hostnam": "x"}, [("unknown-property", "hostnam")]),
    ({"process/argz": []}, [("unknown-property", "process.argz")]),
    ({"mounts/0/readonly": True}, [("unknown-property", "mounts[0].readonly")]),
    ({"linux/resources": {"memory": {"Limit": 1}}}, [("unknown-property", "linux.resources.memory.Limit")]),
    ({"linux/netDevices": {"eth0": {"mtu": 1500}}}, [("unknown-property", "linux.netDevices.eth0.mtu")]),
    ({"hooks": {"postStop": []}}, [("unknown-property", "hooks.postStop")]),
    ({"process/capabilities": {"Bounding": []}}, [("unknown-property", "process.capabilities.Bounding")]),
    ({"freebsd": {"jails": {}}}, [("unknown-property", "freebsd.jails")]),
    # --- version, root
    ({"ociVersion": "1.0"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": ""}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "v1.0.0"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "1.0.01"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "1.0.0-"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "1.0.0-a..b"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "1.0.0-01"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "1.0.0+"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "\u0661.\u0660.\u0660"}, [("version-semver", "ociVersion")]),
    ({"ociVersion": "2.0.0"}, [("version-unsupported", "ociVersion")]),
    ({"ociVersion": "1.4.0"}, [("version-newer", "ociVersion")]),
    ({"ociVersion": "0.9.0"}, [("version-older", "ociVersion")]),
    ({"root": GONE}, [("root-required", "")]),
    # --- process
    ({"process/args": []}, [("process-args-empty", "process.args")]),
    ({"process/args": GONE}, [("process-args-empty", "process")]),
    ({"process/args/0": ""}, [("process-args-first", "process.args[0]")]),
    ({"process/cwd": ""}, [("process-cwd-relative", "process.cwd")]),
    ({"process/cwd": "srv"}, [("process-cwd-relative", "process.cwd")]),
    ({"process/env": ["A=1", "B"]}, [("env-format", "process.env[1]")]),
    ({"process/env": [""]}, [("env-format", "process.env[0]")]),
    ({"process/env": ["=1"]}, [("env-name-empty", "process.env[0]")]),
    ({"process/env": ["A=1", "B=1", "A=2"]}, [("env-duplicate", "process.env[0]")]),
    ({"process/user": {}}, [("zero-property", "process.user"), ("zero-property", "process.user")]),
    ({"process/user": {"uid": 0}}, [("zero-property", "process.user")]),
    ({"process/user/umask": 0o1022}, [("umask-range", "process.user.umask")]),
    ({"process/args/0": "a\0b"}, [("nul-character", "process.args[0]")]),
    ({"mounts/0/source": "\0"}, [("nul-character", "mounts[0].source")]),
    ({"linux/resources": {"unified": {"a.\0": "1"}}}, [("nul-character", 'linux.resources.unified["a.\\u0000"]')]),
    (
        {"process/rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2},
        [("rlimit-duplicate", "process.rlimits[1]")],
    ),
    (
        {"process/rlimits": [{"type": "RLIMIT_NOFILES", "soft": 0, "hard": 0}]},
        [("rlimit-unknown", "process.rlimits[0].type")],
    ),
    (
        {"process/rlimits": [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]},
        [("rlimit-soft-above-hard", "process.rlimits[0]")],
    ),
    (
        {"process/terminal": True, "process/consoleSize": {"height": 65536, "width": 1}},
        [("console-size-range", "process.consoleSize.height")],
    ),
    ({"process/consoleSize": {"height": 1, "width": 1}}, [("console-size-ignored", "process.consoleSize")]),
    (
        {"process/scheduler": {"policy": "SCHED_OTHER", "nice": 20}},
        [("scheduler-nice-range", "process.scheduler.nice")],
    ),
    (
        {"process/scheduler": {"policy": "SCHED_BATCH", "nice": -21}},
        [("scheduler-nice-range", "process.scheduler.nice")],
    ),
    ({"process/scheduler": {"policy": "SCHED_FIFO"}}, [("scheduler-priority-range", "process.scheduler")]),
    (
        {"process/scheduler": {"policy": "SCHED_RR", "priority": 100}},
        [("scheduler-priority-range", "process.scheduler.priority")],
    ),
    (
        {"process/scheduler": {"policy": "SCHED_OTHER", "priority": 1}},
        [("scheduler-priority-policy", "process.scheduler.priority")],
    ),
    (
        {"process/scheduler": {"policy": "SCHED_OTHER", "period": 1}},
        [("scheduler-deadline-policy", "process.scheduler.period")],
    ),
    (
        {"process/scheduler": {"policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 4000}},
        [("scheduler-deadline-order", "process.scheduler")],
    ),
    ({"process/scheduler": {"policy": "SCHED_ISO"}}, [("scheduler-iso", "process.scheduler.policy")]),
    ({"process/execCPUAffinity": {"initial": "3-1"}}, [("cpu-list", "process.execCPUAffinity.initial")]),
    ({"process/execCPUAffinity": {"final": "-"}}, [("cpu-list", "process.execCPUAffinity.final")]),
    # --- capabilities: never more than a warning
    ({"process/capabilities": {"bounding": ["CAP_KIL"]}}, [("capability-unknown", "process.capabilities.bounding[0]")]),
    (
        {"process/capabilities": {"bounding": ["CAP_KILL", "CAP_KILL"]}},
        [("capability-duplicate", "process.capabilities.bounding[1]")],
    ),
    (
        {"process/capabilities": {"effective": ["CAP_KILL"]}},
        [("capability-not-permitted", "process.capabilities.effective[0]")],
    ),
    (
        {"process/capabilities": {"ambient": ["CAP_KILL"], "permitted": ["CAP_KILL"]}},
        [("capability-not-inheritable", "process.capabilities.ambient[0]")],
    ),
    (
        {"process/capabilities": {"ambient": ["CAP_KILL"], "inheritable": ["CAP_KILL"]}},
        [("capability-not-permitted", "process.capabilities.ambient[0]")],
    ),
    # --- annotations, hooks
    ({"annotations": {"": "x"}}, [("annotation-key-empty", 'annotations[""]')]),
    ({"annotations": {"org.opencontainers.x": "1"}}, [("annotation-reserved", 'annotations["org.opencontainers.x"]')]),
    (
        {"annotations": {"org.pyoci.netDevices.return": "yes"}},
        [("annotation-value", 'annotations["org.pyoci.netDevices.return"]')],
    ),
    ({"hooks": {"poststop": [{"path": "bin/x"}]}}, [("hook-path-relative", "hooks.poststop[0].path")]),
    (
        {"hooks": {"createRuntime": [{"path": "/x"}, {"path": "y"}]}},
        [("hook-path-relative", "hooks.createRuntime[1].path")],
    ),
    ({"hooks": {"poststop": [{"path": "/x", "env": ["A"]}]}}, [("env-format", "hooks.poststop[0].env[0]")]),
    ({"hooks": {"prestart": [{"path": "/x"}]}}, [("hook-deprecated", "hooks.prestart[0]")]),
    # --- what no rule says, and create refuses on any host
    ({"hostname": "", "linux": {}}, [("not-creatable", "mounts")]),
    ({"mounts/0": {"destination": "/", "options": ["rslave"]}}, [("not-creatable", "mounts[0]")]),
    (
        {
            "mounts/0": {"destination": "/proc/x", "type": "tmpfs"},
            "mounts/1": {"destination": "/y", "type": "tmpfs", "options": ["rro"]},
            "mounts/2": {"destination": "/z", "type": "proc", "options": ["tmpcopyup"]},
            "process/user/uid": 2**32 - 1,
            "process/rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 9}],
            "linux/devices": [{"type": "p", "path": "/./"}],
        },
        [
            ("not-creatable", "linux.devices[0]"),
            ("not-creatable", "mounts[0]"),
            ("not-creatable", "mounts[1]"),
            ("not-creatable", "mounts[2]"),
            ("not-creatable", "process.rlimits[0]"),
            ("not-creatable", "process.user.uid"),
        ],
    ),
    # --- mounts
    ({"mounts/0/destination": "proc"}, [("mount-destination-deprecated", "mounts[0].destination")]),
    (
        {"mounts/0/destination": "proc", "ociVersion": "1.1.0"},
        [("mount-destination-deprecated", "mounts[0].destination")],
    ),
    (
        {"mounts/0/destination": "proc", "ociVersion": "1.0.2-dev"},
        [("mount-destination-old", "mounts[0].destination")],
    ),
    (
        {"mounts/0": {"destination": "/x", "source": "/y", "options": ["bind", "idmap"]}},
        [("mount-idmap-no-mappings", "mounts[0].options[1]")],
    ),
    (
        {"mounts/0": {"destination": "/x", "source": "/y", "options": ["bind", "idmap"], "uidMappings": [MAP]}},
        [("mount-mappings-incomplete", "mounts[0]")],
    ),
    (
        {
            "mounts/0": {
                "destination": "/x",
                "source": "/y",
                "options": ["bind"],
                "uidMappings": [MAP],
                "gidMappings": [MAP],
            }
        },
        [("mount-mappings-no-option", "mounts[0]")],
    ),
    ({"mounts/0": {"destination": "/x", "options": ["rbind"]}}, [("mount-bind-source", "mounts[0]")]),
    ({"mounts/0": {"destination": "/x", "source": "tmpfs"}}, [("mount-type-required", "mounts[0]")]),
    (
        {"mounts/0": {"destination": "/x", "source": "/y", "options": ["rbind", "rpivate", "size=1"]}},
        [("mount-bind-option", "mounts[0].options[1]"), ("mount-bind-option", "mounts[0].options[2]")],
    ),
    (
        {"mounts/0": {"destination": "/x", "source": "/y", "options": ["bind", "rro", "Z"]}},
        [("mount-bind-option", "mounts[0].options[2]")],
    ),
    ({"mounts/0/options": ["ro", "nosuid", "ro"]}, [("mount-option-duplicate", "mounts[0].options[2]")]),
    # --- ids
    (
        {"linux/namespaces/5": USER, "linux/uidMappings": [{**MAP, "size": 0}], "linux/gidMappings": [MAP]},
        [("mapping-empty", "linux.uidMappings[0].size")],
    ),
    (
        {
            "linux/namespaces/5": USER,
            "linux/uidMappings": [{**MAP, "hostID": 2**32 - 2, "size": 2}],
            "linux/gidMappings": [MAP],
        },
        [("mapping-exceeds", "linux.uidMappings[0].hostID")],
    ),
    (
        {
            "linux/namespaces/5": USER,
            "linux/uidMappings": [MAP],
            "linux/gidMappings": [MAP, {"containerID": 20, "hostID": 1009, "size": 1}],
        },
        [("mapping-overlap", "linux.gidMappings[1]")],
    ),
    (
        {
            "linux/namespaces/5": USER,
            "linux/uidMappings": [{"containerID": 9, "hostID": 5, "size": 1}, MAP],
            "linux/gidMappings": [MAP],
        },
        [("mapping-overlap", "linux.uidMappings[1]")],
    ),
    (
        {"linux/uidMappings": [MAP], "linux/gidMappings": [MAP]},
        [("mapping-no-user-namespace", "linux.gidMappings"), ("mapping-no-user-namespace", "linux.uidMappings")],
    ),
    (
        {"linux/namespaces/5": USER, "linux/uidMappings": [MAP]},
        [("user-namespace-no-mappings", "linux.namespaces[5]")],
    ),
    (
        {
            "linux/namespaces/5": USER,
            "linux/uidMappings": [{"containerID": n, "hostID": n, "size": 1} for n in range(341)],
            "linux/gidMappings": [MAP],
        },
        [("mapping-too-many", "linux.uidMappings[340]")],
    ),
    (
        {
            "mounts/0": {
                "destination": "/x",
                "source": "/y",
                "options": ["bind", "idmap"],
                "uidMappings": [MAP, MAP],
                "gidMappings": [MAP],
            }
        },
        [
            ("mapping-overlap", "mounts[0].uidMappings[1]"),
            ("mapping-overlap", "mounts[0].uidMappings[1]"),
        ],
    ),
    # --- namespaces
    ({"linux/namespaces/5": {"type": "pid"}}, [("namespace-duplicate", "linux.namespaces[5]")]),
    ({"linux/namespaces/0/path": "ns/pid"}, [("namespace-path-relative", "linux.namespaces[0].path")]),
    ({"linux/namespaces/0/path": ""}, [("namespace-path-relative", "linux.namespaces[0].path")]),
    ({"linux/namespaces/0/path": "/proc/1/ns/net"}, [("namespace-path-type", "linux.namespaces[0].path")]),
    (
        {"linux/namespaces/1/path": "/proc/1/task/1/ns/pid_for_children"},
        [("namespace-path-type", "linux.namespaces[1].path")],
    ),
    ({"hostname": "a", "linux/namespaces/2": {"type": "cgroup"}}, [("hostname-no-uts-namespace", "hostname")]),
    ({"hostname": "a" * 65}, [("hostname-too-long", "hostname")]),
    ({"hostname": "é" * 33}, [("hostname-too-long", "hostname")]),
    ({"domainname": "a", "linux/namespaces/2": {"type": "cgroup"}}, [("domainname-no-uts-namespace", "domainname")]),
    ({"domainname": "a" * 65}, [("domainname-too-long", "domainname")]),
    (
        {"linux/timeOffsets": {"monotonic": {"secs": 1}}},
        [("time-offsets-no-namespace", "linux.timeOffsets.monotonic")],
    ),
    (
        {"linux/namespaces/5": {"type": "time", "path": "/run/t"}, "linux/timeOffsets": {"boottime": {"secs": 1}}},
        [("time-offsets-no-namespace", "linux.timeOffsets.boottime")],
    ),
    (
        {"linux/namespaces/5": {"type": "time"}, "linux/timeOffsets": {"boottime": {"nanosecs": 10**9}}},
        [("time-offset-nanosecs", "linux.timeOffsets.boottime.nanosecs")],
    ),
    ({"linux/maskedPaths": ["/proc/kcore", "proc/keys"]}, [("hidden-path-relative", "linux.maskedPaths[1]")]),
    ({"linux/readonlyPaths": [""]}, [("hidden-path-relative", "linux.readonlyPaths[0]")]),
    (
        {"linux/namespaces/1": {"type": "cgroup"}, "linux/maskedPaths": ["/proc/kcore"]},
        [("paths-no-mount-namespace", "linux.maskedPaths")],
    ),
    # --- devices
    (
        {"linux/devices": [{"type": "c", "path": "dev/x", "major": 1, "minor": 3}]},
        [("device-path-relative", "linux.devices[0].path")],
    ),
    (
        {"linux/devices": [{"type": "c", "path": "/dev/x"}]},
        [("device-number-required", "linux.devices[0]"), ("device-number-required", "linux.devices[0]")],
    ),
    (
        {"linux/devices": [{"type": "b", "path": "/dev/x", "major": -1, "minor": 0}]},
        [("device-number-range", "linux.devices[0].major")],
    ),
    (
        {"linux/devices": [{"type": "b", "path": "/dev/x", "major": 0, "minor": 2**32}]},
        [("device-number-range", "linux.devices[0].minor")],
    ),
    (
        {
            "linux/devices": [
                {"type": "c", "path": "/dev/x", "major": 1, "minor": 3},
                {"type": "c", "path": "/dev/x", "major": 1, "minor": 5},
            ]
        },
        [("device-conflict", "linux.devices[1].path")],
    ),
    (
        {
            "linux/devices": [
                {"type": "c", "path": "/dev/x", "major": 1, "minor": 3},
                {"type": "u", "path": "/dev/y", "major": 1, "minor": 3},
            ]
        },
        [("device-duplicate-numbers", "linux.devices[1]")],
    ),
    (
        {"linux/devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 0o060600}]},
        [("device-mode-type", "linux.devices[0].fileMode")],
    ),
    (
        {"linux/resources": {"devices": [{"allow": True, "major": -2, "access": "r"}]}},
        [("device-rule-number", "linux.resources.devices[0].major")],
    ),
    (
        {"linux/resources": {"devices": [{"allow": True}]}},
        [("device-rule-access", "linux.resources.devices[0]")],
    ),
    # --- network devices
    (
        {"linux/netDevices": {"eth0": {}}, "linux/namespaces/4": {"type": "cgroup"}},
        [("net-devices-no-network-namespace", "linux.netDevices")],
    ),
    ({"linux/netDevices": {"eth/0": {"name": "e"}}}, [("net-device-name", 'linux.netDevices["eth/0"]')]),
    ({"linux/netDevices": {"eth0": {"name": "a name"}}}, [("net-device-name", "linux.netDevices.eth0.name")]),
    ({"linux/netDevices": {"eth0": {"name": "sixteen-letters-"}}}, [("net-device-name", "linux.netDevices.eth0.name")]),
    ({"linux/netDevices": {"a": {"name": "x"}, "x": {}}}, [("net-device-duplicate", "linux.netDevices.x")]),
    # --- sysctls
    ({"linux/sysctl": {"kernel": "1"}}, [("sysctl-name", "linux.sysctl.kernel")]),
    ({"linux/sysctl": {"net..x": "1"}}, [("sysctl-name", 'linux.sysctl["net..x"]')]),
    ({"linux/sysctl": {"net/../kernel/x": "1"}}, [("sysctl-name", 'linux.sysctl["net/../kernel/x"]')]),
    ({"linux/sysctl": {"net.//.kernel.x": "1"}}, [("sysctl-name", 'linux.sysctl["net.//.kernel.x"]')]),
    ({"linux/sysctl": {"net./.x": "1"}}, [("sysctl-name", 'linux.sysctl["net./.x"]')]),
    ({"linux/sysctl": {"vm.swappiness": "1"}}, [("sysctl-not-namespaced", 'linux.sysctl["vm.swappiness"]')]),
    ({"linux/sysctl": {"kernel.shmmax.x": "1"}}, [("sysctl-not-namespaced", 'linux.sysctl["kernel.shmmax.x"]')]),
    (
        {"linux/sysctl": {"net.ipv4.ip_forward": "1"}, "linux/namespaces/4": {"type": "cgroup"}},
        [("sysctl-no-namespace", 'linux.sysctl["net.ipv4.ip_forward"]')],
    ),
    (
        {"linux/sysctl": {"fs.mqueue": "1"}},
        [("sysctl-not-namespaced", 'linux.sysctl["fs.mqueue"]')],
    ),
    (
        {"linux/sysctl": {"fs.mqueue.msg_max": "1", "kernel/shmmax": "2"}, "linux/namespaces/3": {"type": "cgroup"}},
        [
            ("sysctl-no-namespace", 'linux.sysctl["fs.mqueue.msg_max"]'),
            ("sysctl-no-namespace", 'linux.sysctl["kernel/shmmax"]'),
        ],
    ),
    (
        {"linux/sysctl": {"user.max_user_namespaces": "1"}},
        [("sysctl-no-namespace", 'linux.sysctl["user.max_user_namespaces"]')],
    ),
    ({"linux/sysctl": {"kernel.hostname": "x"}}, [("sysctl-hostname", 'linux.sysctl["kernel.hostname"]')]),
    # --- seccomp
    (
        {"linux/seccomp": {**SECCOMP, "defaultErrnoRet": 1}},
        [("seccomp-errno-action", "linux.seccomp.defaultErrnoRet")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{**RULE, "action": "SCMP_ACT_KILL", "errnoRet": 1}]}},
        [("seccomp-errno-action", "linux.seccomp.syscalls[0].errnoRet")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "syscalls": [{**RULE, "errnoRet": 4096}]}},
        [("seccomp-errno-range", "linux.seccomp.syscalls[0].errnoRet")],
    ),
    (
        {"linux/seccomp": {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/s"}},
        [("seccomp-notify-default", "linux.seccomp.defaultAction")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "listenerPath": "/s", "syscalls": [{**NOTIFY, "names": ["read", "write"]}]}},
        [("seccomp-notify-write", "linux.seccomp.syscalls[0].names[1]")],
    ),
    ({"linux/seccomp": {**SECCOMP, "syscalls": [NOTIFY]}}, [("seccomp-notify-no-listener", "linux.seccomp")]),
    (
        {"linux/seccomp": {**SECCOMP, "listenerMetadata": "x"}},
        [("seccomp-metadata-no-listener", "linux.seccomp.listenerMetadata")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "listenerPath": "/s"}},
        [("seccomp-listener-unused", "linux.seccomp.listenerPath")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "listenerPath": "s", "syscalls": [NOTIFY]}},
        [("seccomp-listener-relative", "linux.seccomp.listenerPath")],
    ),
    (
        {"linux/seccomp": {**SECCOMP, "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X86"]}},
        [("seccomp-arch-duplicate", "linux.seccomp.architectures[1]")],
    ),
    (
        {
            "linux/seccomp": {
                **SECCOMP,
                "syscalls": [{**RULE, "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_EQ"}]}],
            }
        },
        [("seccomp-value-two", "linux.seccomp.syscalls[0].args[0].valueTwo")],
    ),
    # --- the rest of the Linux part
    ({"linux/rootfsPropagation": "rslave"}, [("propagation-recursive", "linux.rootfsPropagation")]),
    ({"linux/cgroupsPath": "/a/../b"}, [("cgroups-path-climbs", "linux.cgroupsPath")]),
    ({"linux/personality": {"domain": "LINUX", "flags": ["X"]}}, [("personality-flag", "linux.personality.flags[0]")]),
    ({"linux/intelRdt": {"closID": ".."}}, [("rdt-clos-id", "linux.intelRdt.closID")]),
    ({"linux/intelRdt": {"closID": "a/b"}}, [("rdt-clos-id", "linux.intelRdt.closID")]),
    ({"linux/intelRdt": {"schemata": ["L3:0=f\nMB:0=1"]}}, [("newline", "linux.intelRdt.schemata[0]")]),
    ({"linux/intelRdt": {"memBwSchema": "MB:0=20\n"}}, [("newline", "linux.intelRdt.memBwSchema")]),
    ({"linux/intelRdt": {"l3CacheSchema": "0=f"}}, [("rdt-l3-schema", "linux.intelRdt.l3CacheSchema")]),
    ({"linux/memoryPolicy": {"mode": "MPOL_BIND"}}, [("memory-policy-nodes", "linux.memoryPolicy")]),
    (
        {"linux/memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0"}},
        [("memory-policy-nodes", "linux.memoryPolicy.nodes")],
    ),
    (
        {"linux/memoryPolicy": {"mode": "MPOL_DEFAULT", "flags": ["MPOL_F_STATIC_NODES"]}},
        [("memory-policy-flags", "linux.memoryPolicy.flags")],
    ),
    (
        {
            "linux/memoryPolicy": {
                "mode": "MPOL_BIND",
                "nodes": "0",
                "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
            }
        },
        [("memory-policy-flags", "linux.memoryPolicy.flags")],
    ),
    (
        {"linux/memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}},
        [("memory-policy-flags", "linux.memoryPolicy.flags")],
    ),
    (
        {"linux/memoryPolicy": {"mode": "MPOL_PREFERRED", "flags": ["MPOL_F_STATIC_NODES"]}},
        [("memory-policy-flags", "linux.memoryPolicy.flags")],
    ),
    (
        {"linux/resources": {"memory": {"limit": 0, "swap": 99}}},
        [("memory-swap-no-limit", "linux.resources.memory.swap")],
    ),
    ({"linux/memoryPolicy": {"mode": "MPOL_BIND", "nodes": "a"}}, [("cpu-list", "linux.memoryPolicy.nodes")]),
    # --- resources
    ({"linux/resources": {"memory": {"limit": -2}}}, [("memory-negative", "linux.resources.memory.limit")]),
    (
        {"linux/resources": {"memory": {"limit": 100, "swap": 99}}},
        [("memory-swap-below-limit", "linux.resources.memory")],
    ),
    ({"linux/resources": {"memory": {"swap": 99}}}, [("memory-swap-no-limit", "linux.resources.memory.swap")]),
    (
        {"linux/resources": {"memory": {"limit": 100, "reservation": 101}}},
        [("memory-reservation-above-limit", "linux.resources.memory")],
    ),
    ({"linux/resources": {"memory": {"kernelTCP": 1}}}, [("memory-kernel", "linux.resources.memory.kernelTCP")]),
    (
        {"linux/resources": {"cpu": {"quota": 1000, "burst": 1001}}},
        [("cpu-burst-above-quota", "linux.resources.cpu")],
    ),
    ({"linux/resources": {"cpu": {"period": 999}}}, [("cpu-period-range", "linux.resources.cpu.period")]),
    ({"linux/resources": {"cpu": {"period": 1000001}}}, [("cpu-period-range", "linux.resources.cpu.period")]),
    ({"linux/resources": {"cpu": {"quota": 999}}}, [("cpu-quota-range", "linux.resources.cpu.quota")]),
    ({"linux/resources": {"cpu": {"quota": -2}}}, [("cpu-quota-negative", "linux.resources.cpu.quota")]),
    (
        {"linux/resources": {"cpu": {"realtimeRuntime": 2, "realtimePeriod": 1}}},
        [("cpu-realtime-range", "linux.resources.cpu")],
    ),
    ({"linux/resources": {"cpu": {"idle": 2}}}, [("cpu-idle-range", "linux.resources.cpu.idle")]),
    ({"linux/resources": {"cpu": {"shares": 1}}}, [("cpu-shares-range", "linux.resources.cpu.shares")]),
    ({"linux/resources": {"cpu": {"shares": 2, "idle": 1}}}, [("cpu-idle-shares", "linux.resources.cpu.shares")]),
    ({"linux/resources": {"cpu": {"cpus": "0-"}}}, [("cpu-list", "linux.resources.cpu.cpus")]),
    ({"linux/resources": {"cpu": {"mems": "x"}}}, [("cpu-list", "linux.resources.cpu.mems")]),
    ({"linux/resources": {"pids": {"limit": -2}}}, [("pids-limit-negative", "linux.resources.pids.limit")]),
    ({"linux/resources": {"blockIO": {"weight": 9}}}, [("block-io-weight-range", "linux.resources.blockIO.weight")]),
    (
        {"linux/resources": {"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}},
        [("block-io-weight-missing", "linux.resources.blockIO.weightDevice[0]")],
    ),
    (
        {"linux/resources": {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": -1, "rate": 1}]}}},
        [("device-number-range", "linux.resources.blockIO.throttleWriteIOPSDevice[0].minor")],
    ),
    (
        {"linux/resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}] * 2}},
        [("hugepage-duplicate", "linux.resources.hugepageLimits[1].pageSize")],
    ),
    (
        {"linux/resources": {"hugepageLimits": [{"pageSize": "2MB\n", "limit": 1}]}},
        [("newline", "linux.resources.hugepageLimits[0].pageSize")],
    ),
    (
        {"linux/resources": {"devices": [{"allow": True, "access": "r\n"}]}},
        [("newline", "linux.resources.devices[0].access")],
    ),
    ({"linux/resources": {"rdma": {"mlx5_1": {}}}}, [("rdma-empty", "linux.resources.rdma.mlx5_1")]),
    ({"linux/resources": {"unified": {"../x.y": "1"}}}, [("unified-name", 'linux.resources.unified["../x.y"]')]),
    ({"linux/resources": {"unified": {"memory": "1"}}}, [("unified-name", "linux.resources.unified.memory")]),
    # --- other platforms
    ({"vm": {"kernel": {"path": "vmlinuz"}}}, [("vm-path-relative", "vm.kernel.path")]),
    ({**ZOS, "zos": {"namespaces": [{"type": "pid"}] * 2}}, [("namespace-duplicate", "zos.namespaces[1]")]),
    (
        {**ZOS, "zos": {"namespaces": [{"type": "pid", "path": "x"}]}},
        [("namespace-path-relative", "zos.namespaces[0].path")],
    ),
    ({**ZOS, "mounts/0/destination": "proc"}, [("mount-destination-relative", "mounts[0].destination")]),
    ({**WINDOWS, "windows/hyperv": {}}, [("windows-hyperv-root", "root")]),
    (
        {**WINDOWS, "windows/hyperv": {}, "windows/jobContainer": {}, "root": GONE},
        [("windows-isolation", "windows.jobContainer")],
    ),
    ({**WINDOWS, "root": {"path": "rootfs"}}, [("windows-root-path", "root.path")]),
    ({**WINDOWS, "root/readonly": True}, [("windows-root-readonly", "root.readonly")]),
    (
        {**WINDOWS, "windows/network": {"networkNamespace": "a", "endpointList": []}},
        [("windows-network", "windows.network.networkNamespace")],
    ),
    (
        {**WINDOWS, "mounts": [{"destination": "c:\\Foo"}, {"destination": "C:\\foo\\bar"}]},
        [("windows-mount-nested", "mounts[1].destination")],
    ),
    ({**WINDOWS, "mounts": [{"destination": "foo"}]}, [("mount-destination-relative", "mounts[0].destination")]),
    ({**WINDOWS, "mounts": [{"destination": "C:foo"}]}, [("mount-destination-relative", "mounts[0].destination")]),
    ({**WINDOWS, "process/args": GONE}, [("process-args-empty", "process")]),
    ({**WINDOWS, "process/cwd": "x"}, [("process-cwd-relative", "process.cwd")]),
]

STATES: "list[tuple[dict[str, Any], list[tuple[str, str]]]]" = [
    ({"id": GONE}, [("schema-required", "")]),
    ({"id": ""}, [("schema-length", "id")]),
    ({"pid": -1}, [("schema-range", "pid")]),
    ({"status": 5}, [("schema-type", "status")]),
    ({"ociVersion": "1"}, [("version-semver", "ociVersion")]),
    ({"pid": GONE}, [("state-pid-required", "")]),
    ({"status": "created", "pid": 0}, [("state-pid-required", "pid")]),
    ({"bundle": "b"}, [("state-bundle-relative", "bundle")]),
    ({"status": "runing"}, [("state-status-unknown", "status")]),
    ({"annotations": {"": "x"}}, [("annotation-key-empty", 'annotations[""]')]),
    ({"bundlePath": "/b"}, [("unknown-property", "bundlePath")]),
]

FEATURE_SETS: "list[tuple[dict[str, Any], list[tuple[str, str]]]]" = [
    ({"ociVersionMax": GONE}, [("schema-required", "")]),
    ({"ociVersionMin": None}, [("schema-type", "ociVersionMin")]),
    ({"ociVersionMin": "1"}, [("version-semver", "ociVersionMin")]),
    ({"ociVersionMin": "1.3.1"}, [("features-version-order", "ociVersionMax")]),
    ({"hooks": ["poststrat"]}, [("features-hook-unknown", "hooks[0]")]),
    ({"linux": {"namespaces": ["mnt"]}}, [("schema-enum", "linux.namespaces[0]")]),
    ({"linux": {"capabilities": ["cap_kill"]}}, [("schema-pattern", "linux.capabilities[0]")]),
    ({"linux": {"capabilities": ["CAP_KIL"]}}, [("capability-unknown", "linux.capabilities[0]")]),
    (
        {"linux": {"seccomp": {"knownFlags": [], "supportedFlags": ["SECCOMP_FILTER_FLAG_LOG"]}}},
        [("features-flag-unknown", "linux.seccomp.supportedFlags[0]")],
    ),
    ({"linux": {"apparmor": {"enable": True}}}, [("unknown-property", "linux.apparmor.enable")]),
]

CASES = [
    *(("config", CONFIG, changes, expected) for changes, expected in CONFIGS),
    *(("state", STATE, changes, expected) for changes, expected in STATES),
    *(("features", FEATURES, changes, expected) for changes, expected in FEATURE_SETS),
]
CHECKS = {"config": validate.check_config, "state": validate.check_state, "features": validate.check_features}


@pytest.mark.parametrize(
    ("kind", "base", "changes", "expected"), CASES, ids=[f"{i}-{c[3][0][0]}" for i, c in enumerate(CASES)]
)
def test_bad_document(
    kind: str, base: "dict[str, Any]", changes: "dict[str, Any]", expected: "list[tuple[str, str]]"
) -> None:
    document = changed(base, changes)
    assert found(document, kind) == sorted(expected)
    refused = [(code, place) for code, place in expected if CATALOG[code][0] in ERRORS and code not in NOT_REFUSED]
    if not refused:
        CHECKS[kind](document)
        return
    with pytest.raises(Error) as caught:
        CHECKS[kind](document)
    assert caught.value.location in {place for _, place in refused} or caught.value.location in ("config.json", kind)
    assert ("more problem" in str(caught.value)) == (len(refused) > 1)


JSON_CODES = {code for code in CATALOG if code.startswith("json-")}
ELSEWHERE = {
    "host-ignores",
    "host-lacks",
    "document-null",
    "process-required",
    "cut-short",
    *JSON_CODES,
}  # test_validate_documents.py and _command.py


def test_a_relative_listener_is_said_to_be_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: "list[str]" = []
    monkeypatch.setattr(listener, "send_descriptor", lambda path, *rest, **steps: tried.append(path))
    monkeypatch.setattr(listener.posix, "close", lambda fd: None)
    config = changed(CONFIG, {"linux/seccomp": {**SECCOMP, "listenerPath": "s", "syscalls": [NOTIFY]}})
    listener.send_listener(config, {"bundle": "/b"}, 1, -1)
    assert tried == ["/b/s"]
    out: "list[Any]" = []
    config_advice(config, out)
    assert ['"s" starts at the bundle' in text for code, _, text, _ in out if code == "seccomp-listener-relative"] == [
        True
    ]


def test_every_rule_has_a_bad_document() -> None:
    tested = {code for _, _, _, expected in CASES for code, _ in expected}
    assert sorted(set(CATALOG) - tested - ELSEWHERE) == []
    assert len(CASES) >= 150


NEAR_MISSES: "list[dict[str, Any]]" = [
    {},
    {"process": GONE},
    {"ociVersion": "1.0.2-dev"},
    {"ociVersion": "1.3.0-rc.1+build.007"},
    {"process/args": ["", "x"][1:]},
    {"process/env": ["A=", "B==", "_=x"], "process/user/umask": 0o777},
    {"process/consoleSize": {"height": 65535, "width": 0}, "process/terminal": True},
    {"process/scheduler": {"policy": "SCHED_OTHER", "nice": -20}},
    {"process/scheduler": {"policy": "SCHED_RR", "priority": 99}},
    {"process/scheduler": {"policy": "SCHED_FIFO", "priority": 1}},
    {"process/scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1024, "deadline": 1024}},
    {"process/execCPUAffinity": {"initial": "0-3, 7", "final": ""}},
    {"process/rlimits": [{"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1}]},
    {"process/capabilities": {name: ["CAP_BPF"] for name in ("effective", "permitted", "inheritable", "ambient")}},
    {"hostname": "a" * 64, "domainname": "é" * 32},
    {"hostname": "a", "linux/namespaces/2/path": "/proc/1/ns/uts"},
    {"annotations": {"org.opencontainers.image.title": "x", "a": "\0", "org.pyoci.netDevices.return": "true"}},
    {"annotations": {"org.pyoci.netDevices.return": "false"}},
    {"mounts/0": {"destination": "/x", "source": "y", "type": "none", "options": ["rbind", "rslave"]}},
    {"mounts/0": {"destination": "/x", "options": ["remount", "ro"]}},
    {
        "linux/namespaces/5": USER,
        "linux/uidMappings": [MAP, {"containerID": 10, "hostID": 1010, "size": 1}],
        "linux/gidMappings": [{"containerID": 0, "hostID": 0, "size": 2**32 - 1}],
        "mounts/0": {"destination": "/x", "source": "/y", "options": ["bind", "idmap"]},
    },
    {"linux/namespaces/5": {"type": "time"}, "linux/timeOffsets": {"boottime": {"secs": -5, "nanosecs": 999999999}}},
    {"linux/namespaces/0/path": "/proc/self/ns/pid_for_children"},
    {"linux/devices": [{"type": "p", "path": "/fifo"}, {"type": "p", "path": "/fifo2"}]},
    {"linux/devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 0o020666}]},
    {
        "linux/netDevices": {
            "eth0": {"name": "eth%d"},
            "eth1": {"name": "eth%d"},
            "eth2": {"name": ""},
            "fifteen-letters": {},
        }
    },
    {
        "linux/sysctl": {
            "net.ipv4.conf.eth0/1.x": "1",
            "net/ipv4/conf/a.b/x": "1",
            "kernel.domainname": "x",
            "kernel.sem": "1",
        }
    },
    {"linux/seccomp": {**SECCOMP, "listenerPath": "/s", "listenerMetadata": "a\0", "syscalls": [NOTIFY]}},
    {
        "linux/seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "syscalls": [{**RULE, "errnoRet": 4095}],
        }
    },
    {
        "linux/resources": {
            "memory": {"limit": -1, "swap": -1},
            "cpu": {"quota": -1, "period": 0, "burst": 5},
            "pids": {},
        }
    },
    {"linux/resources": {"memory": {"limit": 100, "swap": 100, "reservation": 100}, "pids": {"limit": 0}}},
    {
        "linux/resources": {
            "cpu": {"quota": 1000, "burst": 1000, "period": 1000, "shares": 0, "cpus": "", "mems": "0,2-3\n"}
        }
    },
    {"linux/resources": {"devices": [{"allow": False, "access": "rwm", "major": -1, "minor": -1}]}},
    {"linux/resources": {"unified": {"hugetlb.1GB.max": "1", "cgroup.freeze": "0"}}},
    {"linux/intelRdt": {"closID": "/", "schemata": ["L3:0=f", "MB:0=1"], "memBwSchema": "MB:0=20"}},
    {"linux/memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_NUMA_BALANCING"]}},
    {"linux/memoryPolicy": {"mode": "MPOL_PREFERRED"}},
    {"linux/memoryPolicy": {"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}},
    {"linux/resources": {"cpu": {"realtimeRuntime": 950000}}},
    ZOS,
    WINDOWS,
    {**WINDOWS, "mounts": [{"destination": "\\\\server\\x"}, {"destination": "C:/x"}, {"destination": "/y"}]},
    {**WINDOWS, "windows/hyperv": {}, "root": GONE},
    {**WINDOWS, "process/args": GONE, "process/commandLine": "a.exe"},
    {"vm": {"kernel": {"path": "/k", "initrd": "/i"}}},
]


@pytest.mark.parametrize("changes", NEAR_MISSES, ids=range(len(NEAR_MISSES)))
def test_sound_config(changes: "dict[str, Any]") -> None:
    document = changed(CONFIG, changes)
    assert found(document) == []
    validate.check_config(document)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("state", {**STATE, "status": "stopped", "pid": 0}),
        ("state", {key: STATE[key] for key in ("ociVersion", "id", "bundle")} | {"status": "creating"}),
        ("features", FEATURES),
        ("features", {**FEATURES, "hooks": None, "linux": None, "annotations": None, "mountOptions": []}),
        ("features", {**FEATURES, "linux": {"cgroup": None, "seccomp": {"enabled": None, "knownFlags": None}}}),
        ("features", {**FEATURES, "linux": {"intelRdt": {"schemata": True, "monitoring": True}}}),
    ],
)
def test_sound_document(kind: str, document: "dict[str, Any]") -> None:
    assert found(document, kind) == []
    CHECKS[kind](document)


HINTS = [
    ({"linux/namespaces/0/type": "pidd"}, 'did you mean "pid"?'),
    ({"process/rlimits": [{"type": "RLIMIT_NOFILES", "soft": 0, "hard": 0}]}, 'did you mean "RLIMIT_NOFILE"?'),
    ({"process/capabilities": {"bounding": ["kill"]}}, 'did you mean "CAP_KILL"?'),
    ({"linux/seccomp": {"defaultAction": "SCMP_ACT_ALOW"}}, 'did you mean "SCMP_ACT_ALLOW"?'),
    ({"hostName": "x"}, 'did you mean "hostname"?'),
    ({"process/scheduler": {"policy": "SCHED_FIF", "priority": 1}}, 'did you mean "SCHED_FIFO"?'),
    ({"linux/maskedPath": []}, 'did you mean "maskedPaths"?'),
]


@pytest.mark.parametrize(("changes", "hint"), HINTS)
def test_a_typo_gets_the_nearest_known_name(changes: "dict[str, Any]", hint: str) -> None:
    import json

    problems = validate.report(json.dumps(changed(CONFIG, changes)).encode(), "config", everywhere)
    assert hint in [problem.hint for problem in problems]


def test_zeros_are_written_where_they_are_absent() -> None:
    """Each place that is known to the commands, and none of Windows', whose users have names."""
    from pyoci.validate.zeros import PLACES, fill

    for kind, places in PLACES.items():
        for place, names in places.items():
            document: Any = {}
            for step in reversed(place.split()):
                document = [document] if step == "*" else {step: document}
            found: "list[tuple[object, ...]]" = []
            assert fill(document, kind, found) and not fill(document, kind)
            assert [path[-1] for path in found] == list(names)
    assert not fill({"windows": {}, "process": {"user": {"username": "x"}}}, "config")
    assert not fill([], "config") and not fill({"process": {"user": 7}, "mounts": 5}, "config")

"""A machine of plain files: directories become cgroups when they are made, every write is noted."""

import errno
import os
import shutil

from pyoci.cgroups.host import Host

V1_FILES = {
    "cpu": {
        "cpu.shares": "1024",
        "cpu.cfs_quota_us": "-1",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_burst_us": "0",
        "cpu.idle": "0",
        "cpu.rt_period_us": "1000000",
        "cpu.rt_runtime_us": "0",
    },
    "cpuset": {"cpuset.cpus": "", "cpuset.mems": ""},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712",
        "memory.memsw.limit_in_bytes": "9223372036854771712",
        "memory.soft_limit_in_bytes": "",
        "memory.swappiness": "60",
        "memory.usage_in_bytes": "4096",
        "memory.max_usage_in_bytes": "8192",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    },
    "devices": {"devices.allow": "", "devices.deny": "", "devices.list": "a *:* rwm\n"},
    "freezer": {"freezer.state": "THAWED", "freezer.self_freezing": "0"},
    "blkio": {
        "blkio.weight": "500",
        "blkio.weight_device": "",
        "blkio.leaf_weight": "",
        "blkio.leaf_weight_device": "",
        "blkio.throttle.read_bps_device": "",
        "blkio.throttle.write_bps_device": "",
        "blkio.throttle.read_iops_device": "",
        "blkio.throttle.write_iops_device": "",
    },
    "pids": {"pids.max": "max"},
    "hugetlb": {"hugetlb.2MB.limit_in_bytes": "", "hugetlb.2MB.rsvd.limit_in_bytes": ""},
    "rdma": {"rdma.max": ""},
    "net_cls": {"net_cls.classid": "0"},
    "net_prio": {"net_prio.ifpriomap": ""},
    "name=systemd": {},
}
V2_FILES = {
    "cgroup.type": "domain",
    "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma",
    "cgroup.subtree_control": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.freeze": "0",
    "cgroup.kill": "",
    "memory.max": "max",
    "memory.low": "0",
    "memory.high": "max",
    "memory.swap.max": "max",
    "memory.current": "4096",
    "memory.events": "low 0\nhigh 0\nmax 2\noom 1\noom_kill 1\n",
    "cpu.weight": "100",
    "cpu.idle": "0",
    "cpu.max": "max 100000",
    "cpu.max.burst": "0",
    "cpuset.cpus": "",
    "cpuset.mems": "",
    "io.max": "",
    "io.weight": "default 100",
    "pids.max": "max",
    "hugetlb.2MB.max": "max",
    "hugetlb.2MB.rsvd.max": "max",
    "rdma.max": "",
}


class FakeHost(Host):
    """version: 1, 2, or 12 for a hybrid machine. refusals: (file, value) to errno; each is refused once."""

    def __init__(self, base, version, own="/", controllers=None):
        super().__init__(f"{base}/cgroup", f"{base}/proc", f"{base}/sys")
        self.euid = 0
        self.written = []
        self.refusals = {}
        self.denied = {}
        self.files = {}
        self.v2_files = dict(V2_FILES)
        self.user_namespace = False
        self.covered = set()
        for directory in ("proc/self", "sys/kernel/mm/hugepages/hugepages-2048kB", "cgroup"):
            os.makedirs(f"{base}/{directory}")
        self._mounted(base, version, own, V1_FILES if controllers is None else controllers)
        self.written.clear()

    def _mounted(self, base, version, own, controllers):
        groups, mounts = [], []
        if version in (1, 12):
            for number, controller in enumerate(controllers, 1):
                name = controller.replace("name=", "")
                groups.append(f"{number}:{controller}:{own}")
                mounts.append(f"{number} 1 0:{number} / {self.root}/{name} rw - cgroup cgroup rw,{controller}")
                self._fill(f"{self.root}/{name}", V1_FILES[controller])
        if version in (2, 12):
            groups.append(f"0::{own}")
            place = self.root if version == 2 else f"{self.root}/unified"
            mounts.append(f"99 1 0:99 / {place} rw - cgroup2 cgroup2 rw")
            controllers_line = V2_FILES["cgroup.controllers"] if version == 2 else "hugetlb"
            effective = {"cpuset.cpus.effective": "0-3", "cpuset.mems.effective": "0"}
            self.v2_files["cgroup.controllers"] = controllers_line
            self._fill(place, {**self.v2_files, **effective})
        for name in ("cpuset.cpus", "cpuset.mems"):
            if version != 2 and "cpuset" in controllers:
                self._put(f"{self.root}/cpuset/{name}", "0-3" if name == "cpuset.cpus" else "0")
        self._put(f"{base}/proc/self/cgroup", "".join(f"{line}\n" for line in groups))
        self._put(f"{base}/proc/self/mountinfo", "".join(f"{line}\n" for line in mounts))

    def is_in_sight(self, mount, device):
        """Plain files have no device of their own: what is to count as covered stands in `covered`."""
        return mount not in self.covered

    def _put(self, path, text):
        with open(path, "w") as file:
            file.write(text)

    def _fill(self, path, files):
        os.makedirs(path, exist_ok=True)
        for name, text in {**files, "cgroup.procs": ""}.items():
            self._put(f"{path}/{name}", text)

    def in_user_namespace(self):
        return self.user_namespace

    def mkdir(self, path):
        parent, _, name = path.rpartition("/")
        if os.path.exists(path) or not os.path.isdir(parent):
            super().mkdir(path)
        top = parent[len(self.root) :].strip("/").split("/")[0]
        if top in self.denied or (parent == self.root and "" in self.denied):
            raise OSError(self.denied.get(top) or self.denied[""], "mkdir")
        super().mkdir(path)
        v1 = {controller.replace("name=", ""): files for controller, files in V1_FILES.items()}
        if top == "cpu,cpuacct":
            self._fill(f"{parent}/{name}", V1_FILES["cpu"])
        elif top in v1:
            self._fill(f"{parent}/{name}", {**v1[top], **self.files.get(top, {})})
        else:
            with open(f"{parent}/cgroup.subtree_control") as file:
                self._fill(f"{parent}/{name}", {**self.v2_files, "cgroup.controllers": file.read()})

    def rmdir(self, path, dir_fd=None):
        """As in cgroupfs: files are no obstacle, cgroups below and processes are."""
        if dir_fd is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        if any(entry.is_dir() or (entry.name == "cgroup.procs" and entry.stat().st_size) for entry in os.scandir(path)):
            raise OSError(errno.EBUSY, path)
        shutil.rmtree(path)

    def put(self, fd, value):
        place, _, name = os.readlink(f"/proc/self/fd/{fd}")[len(self.root) :].rpartition("/")
        number = self.refusals.pop((name, value), 0)
        if number:
            raise OSError(number, name)
        self.written.append((place, name, value))
        if name == "cgroup.subtree_control":
            value = self._handed_down(self.root + place, value)
        os.truncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        super().put(fd, value)

    def _handed_down(self, path, value):
        """What a v2 cgroup hands down after a write of `+name…`: that is what those below have."""
        with open(f"{path}/cgroup.subtree_control") as file:
            text = " ".join(sorted({*file.read().split(), *value.replace("+", " ").split()}))
        for entry in os.scandir(path):
            if entry.is_dir():
                self._put(f"{entry.path}/cgroup.controllers", text)
        return text

    def values(self, *prefixes):
        """(file, value) of what was written to files of these controllers, in order."""
        return [(name, value) for _, name, value in self.written if name.startswith(prefixes)]

    def directories(self):
        """Every directory, for a comparison of before and after."""
        return sorted(path for path, _, _ in os.walk(self.root))

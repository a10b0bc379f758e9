"""Where benchmarks run: a directory with bundles and helpers of their own, and the runtimes to be compared."""

import copy
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Optional

from bench.clock import Clock
from bench.compiler import HERE, compiled
from bench.contender import Contender, contenders
from tests.support.bundle import make_rootfs
from tests.support.leftovers import adopt_orphans

CALLERS = HERE.parent / "tests" / "data" / "callers"

Config = dict[str, Any]


class World:
    """place: the directory; states: where runtimes keep their state; clock: times programs; pyoci, others: the
    contenders; left_out: who cannot run, and why.

    program: the pyoci to be measured; python: the interpreter it was installed with; peers: where newer runtimes are
    """

    def __init__(self, program: str, python: str, peers: Optional[Path] = None) -> None:
        self.program = program
        self.python = python
        self.place = Path(tempfile.mkdtemp(prefix="pyoci-bench-"))
        self.states = Path(tempfile.mkdtemp(prefix="pyoci-bench-", dir="/run"))
        self.made = 0
        adopt_orphans()  # whose end could be awaited by nobody else
        self.rootfs = self.place / "rootfs"
        make_rootfs(self.rootfs)
        self.floor = compiled(HERE / "floor.c", self.place / "floor", "-static")
        self.clock = Clock(compiled(HERE / "spawn.c", self.place / "spawn", "-static"))
        self.spec = self._spec()
        self.all, self.left_out = contenders(program, self.states, self.clock, self.bundle("true"), peers)

    @property
    def pyoci(self) -> Contender:
        return self.all[0]

    def close(self) -> None:
        """Removes everything, also what a benchmark that failed has left running."""
        for contender in self.all:
            contender.forget_all()
        shutil.rmtree(self.place)
        shutil.rmtree(self.states)

    def name(self, word: str = "c") -> str:
        """A container's id that nobody had yet; cgroups bear it, so it tells whose it is."""
        self.made += 1
        return f"pyoci-bench-{os.getpid()}-{word}-{self.made}"

    def fresh(self, contender: Contender) -> Contender:
        """The same runtime with a state root where nothing is kept yet."""
        return Contender(contender.name, contender.program, self.states / self.name("root"), self.clock)

    def bundle(self, *args: str, memory: Optional[int] = None) -> Path:
        """The bundle of `spec` with a program; memory: its limit in bytes."""
        config = copy.deepcopy(self.spec)
        config["process"]["args"] = list(args)
        if memory is not None:
            config["linux"].setdefault("resources", {})["memory"] = {"limit": memory}
        return self._write(config)

    def engine_bundle(self, recording: str, *args: str) -> Path:
        """A bundle with a config that an engine wrote (tests/data/callers), seccomp profile and limits and all: only
        the places it names on its own host, and what needs its daemon, are ours."""
        config = json.loads((CALLERS / f"{recording}.json").read_text())
        config["ociVersion"] = "1.0.2"
        config["root"]["path"] = str(self.rootfs)
        config["process"].update(args=list(args), terminal=False)
        config["process"].pop("apparmorProfile", None)
        config["process"].pop("rlimits", None)  # raising them takes CAP_SYS_RESOURCE, which not every root has
        config.pop("hooks", None)
        config["linux"].pop("cgroupsPath", None)
        for mount in config["mounts"]:
            source = mount.get("source", "")
            if source.startswith("/"):
                mount["source"] = self._stand_in(mount["destination"])
        return self._write(config)

    def _stand_in(self, destination: str) -> str:
        """A source of our own for a bind mount: a file for what is in /etc and /run, else a directory."""
        path = self.place / "sources" / destination.strip("/").replace("/", "-")
        if destination.startswith(("/etc/", "/run/.")):
            path.parent.mkdir(exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def _spec(self) -> Config:
        place = self.place / "spec"
        place.mkdir()
        subprocess.run([self.program, "spec", "--bundle", str(place)], check=True)
        config: Config = json.loads((place / "config.json").read_text())
        config["ociVersion"] = "1.0.2"  # crun of Debian 12 reads no newer one
        config["process"]["terminal"] = False
        config["root"]["path"] = str(self.rootfs)
        return config

    def _write(self, config: Config) -> Path:
        self.made += 1
        place = self.place / f"bundle-{self.made}"
        place.mkdir()
        (place / "config.json").write_text(json.dumps(config))
        return place

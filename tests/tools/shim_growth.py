"""Whether a shim of containerd's plugin grows: many containers and many execs in one, and what it holds meanwhile.

Usage: shim_growth.py [CONTAINERS EXECS] (5000 20000; root). Prints a line a tenth, and fails if memory, descriptors,
threads or children at the end are more than after the first hundred of each.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support import leftovers
from tests.support.bundle import BASE, make_rootfs
from tests.support.shim_client import Client, Events, start

NAMESPACE = f"growth-{os.getpid()}"
SPEC = {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
ALLOWED = 768  # KiB: what Python still learns of code after the first hundred, and a step of the allocator


class Held(NamedTuple):
    """private: KiB of memory that are the process's own."""

    private: int
    descriptors: int
    threads: int
    children: int


def held(pid: int) -> Held:
    """What it holds at rest: then it gives back what it can."""
    time.sleep(2)
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    private = sum(int(words[1]) for words in lines if words[0] in ("Private_Dirty:", "Private_Clean:"))
    tasks = os.listdir(f"/proc/{pid}/task")
    children = sum(len(Path(f"/proc/{pid}/task/{task}/children").read_text().split()) for task in tasks)
    return Held(private, len(os.listdir(f"/proc/{pid}/fd")), len(tasks), children)


class World:
    """A shim with a container that stays, for the execs; others come and go."""

    def __init__(self, place: Path) -> None:
        self.place = place
        make_rootfs(place / "rootfs")
        self.events = Events(place / "events.sock")
        self.client = Client(start(self.bundle("stays"), "stays", self.events, namespace=NAMESPACE).decode())
        self.pid = int(self.client("Connect", id="")["shim_pid"])
        self.create("stays")
        self.done = 0

    def bundle(self, name: str) -> Path:
        path = self.place / name
        path.mkdir(exist_ok=True)
        config = json.loads(json.dumps(BASE))
        config["root"]["path"] = str(self.place / "rootfs")
        config["process"]["args"] = ["sleep", "100000"] if name == "stays" else ["true"]
        config["linux"]["cgroupsPath"] = f"/{NAMESPACE}/{name}"
        (path / "config.json").write_text(json.dumps(config))
        return path

    def create(self, name: str) -> None:
        self.client("Create", id=name, bundle=str(self.place / name))
        self.client("Start", id=name)

    def life(self) -> None:
        self.done += 1
        name = f"c{self.done}"
        self.bundle(name)
        self.create(name)
        self.client("Wait", id=name)
        self.client("Delete", id=name)
        shutil.rmtree(self.place / name)

    def execute(self) -> None:
        self.done += 1
        name = f"e{self.done}"
        spec = {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process", "value": SPEC_DATA}
        self.client("Exec", id="stays", exec_id=name, spec=spec)
        self.client("Start", id="stays", exec_id=name)
        self.client("Wait", id="stays", exec_id=name)
        self.client("Delete", id="stays", exec_id=name)
        self.events.heard.clear()

    def close(self) -> None:
        waiting = self.client.send("Wait", id="stays")
        self.client("Kill", id="stays", signal=9)
        self.client.answer(waiting, "Wait")
        self.client("Delete", id="stays")
        self.client("Shutdown", id="stays")
        leftovers.remove_cgroups(NAMESPACE)


SPEC_DATA = json.dumps(SPEC).encode()


def main(containers: int, execs: int) -> int:
    """The exit status."""
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for _ in range(100):
            world.life()
            world.execute()
        first = last = held(world.pid)
        print(f"after 100 of each: {first}", flush=True)
        for tenth in range(1, 11):
            for _ in range((containers - 100) // 10):
                world.life()
            for _ in range((execs - 100) // 10):
                world.execute()
            last = held(world.pid)
            print(f"{tenth * 10} % of {containers} containers and {execs} execs: {last}", flush=True)
        world.close()
    grown = last.private > first.private + ALLOWED or any(now > then for now, then in zip(last[1:], first[1:]))
    print("it has grown" if grown else "it has not grown")
    return int(grown)


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in (sys.argv[1:] or ("5000", "20000")))))

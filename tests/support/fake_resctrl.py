"""The command on a resctrl of plain files: `python fake_resctrl.py TREE words of the command…`.

Makes of a directory what the kernel makes of one in resctrl: `mkdir` brings the files of a group, `rmdir` takes them.
"""

import os
import shutil
import sys
from pathlib import Path

ROOT_SCHEMATA = "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n"
INFO: dict[str, str] = {
    "info/L3/cbm_mask": "7ff\n",
    "info/L3/min_cbm_bits": "1\n",
    "info/L3/num_closids": "4\n",
    "info/MB/bandwidth_gran": "10\n",
    "info/MB/num_closids": "4\n",
    "info/last_cmd_status": "ok\n",
}


def furnish(group: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (group / name).parent.mkdir(parents=True, exist_ok=True)
        (group / name).write_text(text)


def make_tree(path: Path) -> Path:
    """A resctrl as it is after mounting it."""
    path.mkdir()
    furnish(path, {"schemata": ROOT_SCHEMATA, "tasks": "", **INFO})
    (path / "mon_groups").mkdir()
    return path


def make_group(path: str) -> None:
    """mkdir in resctrl."""
    os.mkdir(path)
    if "mon_groups" in path:
        furnish(Path(path), {"tasks": "", "mon_data/mon_L3_00/llc_occupancy": "4096\n"})
    else:
        furnish(Path(path), {"tasks": "", "schemata": ROOT_SCHEMATA})
        os.mkdir(f"{path}/mon_groups")


def main() -> int:
    import posix

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from pyoci.cli import main as command
    from pyoci.container import resctrl
    from pyoci.host import Host
    from pyoci.plan import intel_rdt

    tree = sys.argv[1]

    class Kernel:
        """posix as resctrl answers."""

        def __getattr__(self, name: str) -> object:
            return getattr(posix, name)

        def __init__(self) -> None:
            self.tasks: set[int] = set()

        def open(self, path: str, flags: int) -> int:
            """What is written to tasks is added to it."""
            if not path.endswith("/tasks"):
                return posix.open(path, flags)
            fd = posix.open(path, flags | posix.O_APPEND)
            self.tasks.add(fd)
            return fd

        def write(self, fd: int, data: bytes) -> int:
            return posix.write(fd, data + b"\n" if fd in self.tasks else data)

        def close(self, fd: int) -> None:
            self.tasks.discard(fd)
            posix.close(fd)

        def mkdir(self, path: str, mode: int) -> None:
            make_group(path)

        def rmdir(self, path: str) -> None:
            posix.stat(path)
            shutil.rmtree(path)

    resctrl.posix = intel_rdt.posix = Kernel()  # type: ignore[assignment, attr-defined]
    Host.resctrl = lambda self: tree  # type: ignore[method-assign]
    return command(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

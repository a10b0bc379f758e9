"""Runs pyoci as a user without privilege."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PYOCI, Result, Started, run

TREE = Path(__file__).parents[2]

# The interpreter and the checkout may lie below a home directory that is closed to others: in a mount namespace of its
# own, the ways to them alone are open. Takes directories to reach and closed ones, a line each, and the command.
OPEN = """
reach=$1 closed=$2; shift 2
IFS='
'
hold=$(mktemp -d) && mount -t tmpfs tmpfs "$hold" || exit 99
n=0; for path in $reach; do n=$((n + 1)); mkdir "$hold/$n" && mount --bind "$path" "$hold/$n" || exit 99; done
for path in $closed; do mount -t tmpfs -o mode=711 tmpfs "$path" || exit 99; done
n=0; for path in $reach; do
    n=$((n + 1)); (umask 022 && mkdir -p "$path") && mount --bind "$hold/$n" "$path" || exit 99
done
umount -l "$hold" && rmdir "$hold" || exit 99
unset IFS
exec "$@"
"""


def closed_directory(path: str) -> str:
    """The first directory on the way to a path that others may not pass, "" when there is none."""
    at = Path("/")
    for part in Path(path).parts[1:]:
        at /= part
        if at.is_dir() and not at.stat().st_mode & 0o001:
            return str(at)
    return ""


def opened(program: str = PYOCI) -> "list[str]":
    """What stands before a command of another user: it opens the ways to this interpreter and to a program of ours, and
    does nothing where both are open."""
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    wanted = {str(path) for path in (interpreter.parents[1], TREE, Path(program).resolve().parents[1])}
    reach = sorted(path for path in wanted if closed_directory(path))
    reach = [path for path in reach if not any(path.startswith(f"{other}/") for other in reach)]
    closed = sorted({closed_directory(path) for path in reach})
    return ["unshare", "-m", "sh", "-c", OPEN, "sh", "\n".join(reach), "\n".join(closed)] if reach else []


@contextlib.contextmanager
def open_box(box: Box) -> "Iterator[Box]":
    """A box where strangers may pass: pytest closes its own directories whenever it starts anywhere."""
    path = Path(tempfile.mkdtemp(prefix="pyoci-test-"))
    os.chmod(path, 0o711)
    made = Box(path, box.template)
    try:
        yield made
        problem = made.close()
        assert problem is None, f"left on the host:\n{problem}"
    finally:
        made.close()
        shutil.rmtree(path)


class Stranger:
    """A user of a number, with a state root and bundles of its own in a box."""

    def __init__(self, box: Box, uid: int) -> None:
        self.box = box
        self.uid = uid
        self.runtime = box.path / "runtime"
        self.runtime.mkdir(mode=0o700)
        os.chown(self.runtime, uid, uid)
        box.root = self.runtime / "pyoci"
        os.chmod(box.path, 0o711)

    def words(self, *words: str) -> "list[str]":
        numbers = [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        environment = ["env", "-i", "PATH=/usr/bin:/bin", "HOME=/", f"XDG_RUNTIME_DIR={self.runtime}"]
        return [*opened(), "setpriv", *numbers, *environment, *self.box.words(*words)]

    def call(self, *words: str, **options: Any) -> Result:
        return run(self.words(*words), **options)

    def begin(self, *words: str, **options: Any) -> Started:
        return Started(self.words(*words), **options)

    def ok(self, *words: str, **options: Any) -> Result:
        result = self.call(*words, **options)
        assert result.ok, result
        return result

    def bundle(self) -> Bundle:
        """What `spec --rootless` writes, over a rootfs of the user's own."""
        import json

        made = self.box.bundle()
        copy = made.path / "copy"  # the template's files are links to one another's
        subprocess.run(["cp", "-a", "--reflink=auto", str(made.rootfs), str(copy)], check=True)
        subprocess.run(["rm", "-rf", str(made.rootfs)], check=True)
        copy.rename(made.rootfs)
        subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", str(made.path)], check=True)
        self.ok("spec", "--rootless", "--bundle", str(made.path))
        made.config = json.loads((made.path / "config.json").read_text())
        made.process["terminal"] = False
        made.process["env"] = ["PATH=/bin"]
        return made

    def run(self, bundle: Bundle, *options: str, name: str = "c", **popen: Any) -> Result:
        bundle.write()
        return self.call("run", "--bundle", str(bundle.path), *options, name, **popen)

    def output(self, bundle: Bundle) -> str:
        result = self.run(bundle)
        assert result.ok, result
        return result.out

    def started(self, bundle: Bundle, name: str = "c") -> None:
        bundle.write()
        self.ok("create", "--bundle", str(bundle.path), name)
        self.ok("start", name)

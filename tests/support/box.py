"""One test's own world: a state root, bundles, commands, and at the end a count of what is left."""

import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any, Optional

from tests.support import leftovers
from tests.support.bundle import Bundle
from tests.support.command import PYOCI, Result, Started, run


class Box:
    """Makes containers below one directory. Names of cgroups begin with self.tag."""

    def __init__(self, path: Path, template: Path) -> None:
        self.path = path
        self.template = template
        self.root = path / "state"
        self.tag = f"pyoci-test-{uuid.uuid4().hex[:10]}"
        self.before = leftovers.descendants()
        self.made = 0

    def bundle(self, name: str = "") -> Bundle:
        """A fresh bundle with a root of its own."""
        self.made += 1
        place = self.path / (name or f"b{self.made}")
        root = place / "rootfs"
        shutil.copytree(self.template, root, symlinks=True, copy_function=os.link)
        os.chmod(root, 0o755)
        os.chmod(root / "tmp", 0o1777)
        return Bundle(place, f"/{self.tag}-{self.made}")

    def words(self, *words: str) -> list[str]:
        return [PYOCI, "--root", str(self.root), *words]

    def call(self, *words: str, **options: Any) -> Result:
        """Runs a command on this box's root."""
        return run(self.words(*words), **options)

    def begin(self, *words: str, **options: Any) -> Started:
        return Started(self.words(*words), **options)

    def ok(self, *words: str, **options: Any) -> Result:
        """Runs a command that must succeed."""
        result = self.call(*words, **options)
        assert result.ok, result
        return result

    def create(self, bundle: Bundle, name: str, *options: str, **popen: Any) -> Result:
        bundle.write()
        return self.call("create", "--bundle", str(bundle.path), *options, name, **popen)

    def run(self, bundle: Bundle, *options: str, name: str = "c", **popen: Any) -> Result:
        """`run` in the foreground."""
        bundle.write()
        return self.call("run", "--bundle", str(bundle.path), *options, name, **popen)

    def output(self, bundle: Bundle, *options: str, **popen: Any) -> str:
        """What a container's program prints; it must succeed."""
        result = self.run(bundle, *options, **popen)
        assert result.ok, result
        return result.out

    def made_container(self, bundle: Bundle, name: str, *options: str, **popen: Any) -> dict[str, Any]:
        """create that must succeed; the state."""
        result = self.create(bundle, name, *options, **popen)
        assert result.ok, result
        return self.state(name)

    def started(self, bundle: Bundle, name: str = "c", *options: str, **popen: Any) -> dict[str, Any]:
        """create and start that must succeed; the state."""
        self.made_container(bundle, name, *options, **popen)
        self.ok("start", name)
        return self.state(name)

    def state(self, name: str = "c") -> dict[str, Any]:
        leftovers.reap()
        document: dict[str, Any] = json.loads(self.ok("state", name).out)
        return document

    def rewrite_state(self, record: dict[str, Any], name: str = "c") -> None:
        """Replaces state.json, in the form that it had before it had a check and a copy."""
        (self.root / name / "state.json.copy").unlink(missing_ok=True)
        bare = {key: value for key, value in record.items() if key not in ("format", "check")}
        (self.root / name / "state.json").write_text(json.dumps(bare))

    def names(self) -> list[str]:
        return sorted(n for n in os.listdir(self.root) if n[0] != "@") if self.root.exists() else []

    # The count

    def left(self) -> list[str]:
        """What is on the host that this test brought there, in words."""
        leftovers.settle()
        found = [f"state {name}" for name in self.names()]
        processes = leftovers.descendants() - self.before
        found += [f"process {leftovers.describe(pid)}" for pid in sorted(processes)]
        found += [f"mount {point}" for point in leftovers.mounts_below(str(self.path))]
        return found + [f"cgroup {path}" for path in leftovers.cgroups_named(self.tag)]

    def close(self) -> Optional[str]:
        """Removes what tests may leave to us, by `delete --force` alone; says what that did not remove."""
        problems = []
        for name in self.names():
            result = self.call("delete", "--force", "--", name)
            if not result.ok:
                problems.append(repr(result))
        problems += self.left()
        leftovers.kill(leftovers.descendants() - self.before)
        leftovers.remove_cgroups(self.tag)
        for point in reversed(leftovers.mounts_below(str(self.path))):
            os.system(f"umount -l '{point}'")
        return "\n".join(problems) or None


def short(name: str) -> str:
    """A test's name as part of a path."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[:40]

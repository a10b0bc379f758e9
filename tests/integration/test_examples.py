"""The examples of --help, run one after the other as the life of one container."""

import json
import shlex
import shutil

import pytest

from pyoci.cli import table, texts
from tests.support.box import Box
from tests.support.command import Result

pytestmark = [pytest.mark.root, pytest.mark.cgroup_v1]

# In an order in which each works
BEFORE = ("help", "version", "shim", "features", "doctor", "spec", "validate", "plan", "run")
ALIVE = (
    "create",
    "state",
    "start",
    "list",
    "ps",
    "exec",
    "stats",
    "events",
    "update",
    "pause",
    "resume",
    "kill",
    "delete",
)
LIFE = (*BEFORE, *ALIVE, "sandbox")
WITH_CRIU = ("checkpoint", "restore")  # tests/integration/test_checkpoint.py has criu, where there is one


@pytest.fixture
def example(box: Box):  # type: ignore[no-untyped-def]
    bundle = box.bundle()
    places = {"/srv/web": str(bundle.path), "web": box.tag, "/run/web.pid": str(box.path / "pid"), "1000": "0.1"}

    def call(name: str) -> Result:
        words = [places.get(word, word) for word in shlex.split(texts.EXAMPLES[name])[1:]]
        return box.call(*words)

    return call


def test_every_example_is_run() -> None:
    assert sorted([*LIFE, *WITH_CRIU]) == sorted(table.COMMANDS)


def test_the_examples(box: Box, example) -> None:  # type: ignore[no-untyped-def]
    said = {}
    for name in LIFE:
        if name == "create":
            config = box.path / "b1" / "config.json"
            document = json.loads(config.read_text())
            document["process"]["args"] = ["sleep", "1000"]  # the example's end comes too soon for what follows
            config.write_text(json.dumps(document))
        ran = example(name)
        said[name] = ran.out
        if name == "doctor":
            assert ran.status in (0, 1) and not ran.err, ran
            continue
        if name == "sandbox" and not shutil.which("python3", path="/usr/bin"):
            continue
        assert ran.ok and not ran.err, ran
    assert said["exec"] == "1\n/tmp\n" and said["sandbox"] in ("42\n", "")
    assert json.loads(said["state"])["status"] == "created" and box.tag in said["list"] and box.tag in said["stats"]
    assert "make cgroup" in said["plan"] and "sleep" in said["ps"]

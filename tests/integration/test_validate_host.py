"""`validate --host`: what a good config lacks on this host, and what create would say."""

import json
import os

import pytest
from support.box import Box
from support.bundle import Bundle

from pyoci.validate.onhost import place_of, resolve

pytestmark = pytest.mark.root


def told(box: Box, bundle: Bundle) -> "list[tuple[str, str]]":
    bundle.write()
    plain = box.call("validate", "--format", "json", str(bundle.path))
    assert plain.ok, plain  # by itself it is right
    result = box.call("validate", "--host", "--format", "json", str(bundle.path))
    document = json.loads(result.out)
    assert result.status == (0 if document["valid"] else 1)
    problems = [problem for problem in document["problems"] if problem["code"] == "host-lacks"]
    assert all(problem["line"] > 0 for problem in problems)
    return [(problem["place"], problem["message"]) for problem in problems]


def test_validate_host_lacks_what_mounts_want(box: Box) -> None:
    bundle = box.bundle().args("true")
    assert told(box, bundle) == []
    bundle.bind("/srv/missing", "/data")
    ((path, text),) = told(box, bundle)
    assert path == "mounts[4].source" and text == "/srv/missing does not exist"
    del bundle.config["mounts"][4]
    bundle.config["root"]["path"] = "nowhere"
    ((path, text),) = told(box, bundle)
    assert path == "root.path" and text.endswith("nowhere does not exist")
    assert box.left() == []


@pytest.mark.parametrize(
    ("word", "said"),
    [("/bin/nosuch", "has no /bin/nosuch"), ("nosuch", "has no nosuch in /bin"), ("/plain", "not executable"),
     ("/loop", "has no /loop"), ("/out", ""), ("/link/true", "")],
)  # fmt: skip
def test_validate_host_looks_for_the_program(box: Box, word: str, said: str) -> None:
    """Links are followed as the container will follow them."""
    bundle = box.bundle().args(word)
    (bundle.rootfs / "plain").write_text("")
    os.symlink("/loop", bundle.rootfs / "loop")
    os.symlink("../../../bin/busybox", bundle.rootfs / "out")
    os.symlink("/bin", bundle.rootfs / "link")
    problems = told(box, bundle)
    assert [path for path, _ in problems] == (["process.args[0]"] if said else [])
    assert said in "".join(text for _, text in problems)


def test_what_create_would_refuse(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["resources"] = {"cpu": {"cpus": "4000"}}
    ((path, text),) = told(box, bundle)
    assert path == "linux.resources.cpu.cpus" and "CPUs 4000 are not there" in text


def test_standard_input_is_no_bundle(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    with open(bundle.path / "config.json", "rb") as file:
        result = box.call("validate", "--host", "-", stdin=file)
    assert result.status == 2 and "no bundle" in result.err, result


def test_places() -> None:
    assert place_of("mounts[0] (/data).options", {"mounts": [{}]}) == ("mounts", 0)
    assert place_of("linux.x", {"linux": {}}) == ("linux",)
    assert resolve("/nowhere", "/x") == ""

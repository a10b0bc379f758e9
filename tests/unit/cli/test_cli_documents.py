"""The documents the program writes: config template, features, version."""

import json
import os
from pathlib import Path

import pytest

import pyoci
from pyoci.documents import features, spec_template

HOME = Path(pyoci.__file__).parent.parent


def problems(schema, document):
    """What the project's schema says against a document."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4

    schemas = {path.name: json.loads(path.read_text()) for path in (HOME / "schemas").glob("*.json")}
    registry = Registry().with_resources(
        (name, Resource.from_contents(content, default_specification=DRAFT4)) for name, content in schemas.items()
    )
    validator = jsonschema.Draft4Validator(schemas[schema], registry=registry)
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(document)]


def test_the_schema_check_is_alive():
    assert problems("features.json", {"ociVersionMin": "1.0.0"})
    assert problems("config.json", {"ociVersion": 1})


def test_features_is_pure_json_with_four_spaces(cli, runtime):
    status, out, err = cli("features")
    assert (status, err, runtime.made) == (0, "", [])
    assert json.dumps(json.loads(out), indent=4) + "\n" == out
    assert json.loads(out) == features.document()


def test_features_fits_the_schema():
    assert problems("features.json", features.document()) == []


def test_features_has_what_engines_look_for():
    document = features.document()
    assert document["ociVersionMin"] and document["ociVersionMax"] == pyoci.SPEC_VERSION
    assert "rro" in document["mountOptions"]
    assert document["mountOptions"] == sorted(set(document["mountOptions"]))
    assert document["linux"]["namespaces"] == sorted(document["linux"]["namespaces"])
    assert "enabled" in document["linux"]["mountExtensions"]["idmap"]
    assert {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"} <= set(document["linux"]["capabilities"])


def test_features_lists_every_hook_of_the_schema():
    """A hook that the config may have and the runtime runs must be announced."""
    schema = json.loads((HOME / "schemas" / "config.json").read_text())
    hooks = schema["properties"]["hooks"]
    while "$ref" in hooks:
        hooks = schema["definitions"][hooks["$ref"].rsplit("/", 1)[1]]
    assert sorted(features.HOOKS) == sorted(hooks["properties"])


def test_version_has_the_shape_callers_parse(cli, runtime):
    status, out, err = cli("--version")
    assert (status, err, runtime.made) == (0, "", [])
    lines = out.splitlines()
    assert lines[0] == f"pyoci version {pyoci.__version__}"
    assert lines[1].startswith("commit: ")
    assert lines[2] == f"spec: {pyoci.SPEC_VERSION}"
    # docker takes every line with this word for the program's own line.
    assert [line for line in lines if "version" in line] == lines[:1]
    assert all(": " in line for line in lines[1:])
    assert cli("-v")[1] == out == cli("version")[1]


def test_spec_writes_a_config_with_tabs(cli, runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = cli("spec")
    assert (status, out, err, runtime.made) == (0, "", "", [])
    text = (tmp_path / "config.json").read_text()
    assert text.startswith('{\n\t"ociVersion": "1.3.0",\n\t"process": {\n\t\t"terminal": true,\n')
    assert json.loads(text) == spec_template.config()


def test_spec_writes_into_the_bundle_asked_for(cli, tmp_path):
    assert cli("spec", "--bundle", tmp_path)[0] == 0
    assert json.loads((tmp_path / "config.json").read_text())["root"] == {"path": "rootfs", "readonly": True}


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_spec_never_replaces_a_config(cli, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    if kind == "file":
        (tmp_path / "config.json").write_text("mine")
    else:
        (tmp_path / "config.json").symlink_to(tmp_path / "elsewhere")
    status, out, err = cli("spec")
    assert (status, out) == (1, "")
    assert "File config.json exists. Remove it first" in err
    assert kind != "file" or (tmp_path / "config.json").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_spec_names_a_directory_that_is_not_there(cli, tmp_path):
    status, _, err = cli("spec", "-b", tmp_path / "none")
    assert status == 1
    assert "none/config.json" in err


def test_the_rootless_config_is_for_the_caller(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1001)
    assert cli("spec", "--rootless", "-b", tmp_path)[0] == 0
    config = json.loads((tmp_path / "config.json").read_text())
    linux = config["linux"]
    kinds = [space["type"] for space in linux["namespaces"]]
    assert "user" in kinds and "network" not in kinds
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert linux["gidMappings"] == [{"containerID": 0, "hostID": 1001, "size": 1}]
    assert "resources" not in linux
    mounts = {mount["destination"]: mount for mount in config["mounts"]}
    assert mounts["/sys"]["options"][0] == "rbind" and mounts["/sys"]["source"] == "/sys"
    assert not [option for mount in mounts.values() for option in mount.get("options", []) if "gid=" in option]


@pytest.mark.parametrize("config", [spec_template.config(), spec_template.rootless(spec_template.config(), 1000, 1000)])
def test_the_templates_fit_the_schema(config):
    assert problems("config.json", config) == []


def test_the_templates_do_not_share_their_parts():
    first = spec_template.config()
    spec_template.rootless(first, 1, 1)
    assert first == spec_template.config()
    first["mounts"][4]["options"].append("x")
    assert spec_template.config()["mounts"][4]["options"] == ["nosuid", "noexec", "nodev"]


def test_no_capability_is_inheritable_or_ambient():
    """CVE-2022-29162 and its kin: an inheritable set lets a file of the image give what was not asked for."""
    assert sorted(spec_template.config()["process"]["capabilities"]) == ["bounding", "effective", "permitted"]


def test_what_namespaces_do_not_hide_is_masked_or_read_only():
    """CVE-2015-3630, CVE-2018-10892."""
    linux = spec_template.config()["linux"]
    for name in (
        "acpi",
        "asound",
        "kcore",
        "keys",
        "latency_stats",
        "timer_list",
        "timer_stats",
        "sched_debug",
        "scsi",
    ):
        assert f"/proc/{name}" in linux["maskedPaths"]
    assert {"/sys/firmware", "/sys/devices/virtual/powercap", "/sys/devices/virtual/tpm"} <= set(linux["maskedPaths"])
    assert linux["readonlyPaths"] == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


@pytest.mark.parametrize("unified", [True, False])
def test_a_cgroup_namespace_is_asked_for_on_cgroup_v2(monkeypatch, unified):
    monkeypatch.setattr(spec_template, "_exists", lambda path: unified)
    kinds = [space["type"] for space in spec_template.config()["linux"]["namespaces"]]
    assert kinds == ["pid", "network", "ipc", "uts", "mount"] + ["cgroup"] * unified

"""`spec` with wishes: each one's place in config.json, and what is refused."""

import json

import pytest

from pyoci.documents import spec_template


@pytest.fixture
def spec(cli, tmp_path):
    """Calls `spec` on an empty bundle: the config, or None and what was said."""

    def call(*words):
        status, out, err = cli("spec", "--bundle", tmp_path, *words)
        assert out == "" or "Incorrect Usage" in out
        path = tmp_path / "config.json"
        config = json.loads(path.read_text()) if path.exists() else None
        assert (status == 0) == (config is not None)
        return config, err

    return call


def process(**changed):
    return ("process",), {**spec_template.config()["process"], **changed}


CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN"]
RO = ["rbind", "rro", "rprivate"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WISHES = {
    "command": (["sleep", "--help"], process(args=["sleep", "--help"])),
    "command after two dashes": (["--", "-sh"], process(args=["-sh"])),
    "args": (["--args", "sh -c 'echo  two'"], process(args=["sh", "-c", "echo  two"])),
    "env": (["--env", "A=b=c", "-e", "TERM=vt100"], process(env=[PATH, "TERM=vt100", "A=b=c"])),
    "cwd": (["--cwd", "/srv"], process(cwd="/srv")),
    "user": (["--user", "7"], process(user={"uid": 7, "gid": 0})),
    "user and group": (["-u", "7:8"], process(user={"uid": 7, "gid": 8})),
    "cap": (["--cap", "CAP_CHOWN"], process(capabilities=dict.fromkeys(("bounding", "effective", "permitted"), CAPS))),
    "tty": (["--tty"], process(terminal=True)),
    "no-tty": (["--no-tty"], process(terminal=False)),
    "tty=false": (["--tty=false"], process(terminal=False)),
    "readonly": (["--readonly"], (("root",), {"path": "rootfs", "readonly": True})),
    "writable": (["--writable"], (("root",), {"path": "rootfs", "readonly": False})),
    "hostname": (["--hostname", "web"], (("hostname",), "web")),
    "memory": (["--memory", "64M"], (("linux", "resources", "memory"), {"limit": 64 << 20})),
    "cpus": (["--cpus", "0.5"], (("linux", "resources", "cpu"), {"quota": 50000, "period": 100000})),
    "pids": (["--pids", "9"], (("linux", "resources", "pids"), {"limit": 9})),
    "bind": (["--bind", "/usr"],
             (("mounts", -1), {"destination": "/usr", "type": "none", "source": "/usr", "options": RO})),
    "bind elsewhere": (["--bind", "/usr:/x:rw"], (("mounts", -1, "options"), ["rbind", "rrw", "rprivate"])),
    "tmpfs": (["--tmpfs", "/tmp:1M"], (("mounts", -1, "options"), ["nosuid", "nodev", "mode=1777", "size=1048576"])),
    "net by path": (["--net", "/run/n"], (("linux", "namespaces", -1), {"type": "network", "path": "/run/n"})),
    "net none": (["--net", "none"], (("linux", "namespaces", -1), {"type": "network"})),
}  # fmt: skip


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_is_in_its_place(spec, name):
    words, (place, wanted) = WISHES[name]
    config, err = spec(*words)
    assert err == ""
    for key in place:
        config = config[key]
    assert config == wanted


def test_a_wish_changes_nothing_else(spec):
    config, _ = spec("--memory", "64M", "--hostname", "web")
    assert config["linux"]["resources"].pop("memory") and config.pop("hostname") == "web"
    expected = spec_template.config()
    del expected["hostname"]
    assert config == expected


def test_the_hosts_network(spec):
    config, _ = spec("--net", "host")
    assert "network" not in [space["type"] for space in config["linux"]["namespaces"]]


def test_rootless_limits_are_only_those_wished_for(spec):
    config, _ = spec("--rootless", "--pids", "5")
    assert config["linux"]["resources"] == {"pids": {"limit": 5}}


def test_rootless_the_caller_is_the_user_wished_for(spec):
    config, _ = spec("--rootless", "--user", "7:8")
    assert [config["linux"][f"{kind}Mappings"][0]["containerID"] for kind in ("uid", "gid")] == [7, 8]


@pytest.mark.parametrize(
    ("rootfs", "path"),
    [
        ("{bundle}/root", "root"),
        ("{bundle}", "{bundle}"),
        ("/usr", "/usr"),
        ("../usr", "/usr"),
        ("usr", "/nowhere/usr"),
    ],
)
def test_the_rootfs(spec, tmp_path, monkeypatch, rootfs, path):
    monkeypatch.setattr("posix.getcwd", lambda: "/nowhere")
    config, _ = spec("--rootfs", rootfs.format(bundle=tmp_path))
    assert config["root"]["path"] == path.format(bundle=tmp_path)


@pytest.mark.parametrize("words", [["--rootfs", "/no/such"], ["--bind", "/no/such"]])
def test_what_is_not_there_yet_is_told(spec, words):
    config, err = spec(*words)
    assert config and "/no/such" in err and "level=warning" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tty", "--no-tty"], "--tty and --no-tty do not go together"),
        (["--readonly", "--writable"], "--readonly and --writable do not go together"),
        (["--args", "sh", "true"], "--args and a COMMAND do not go together"),
        (["--args", "sh '"], "--args: No closing quotation"),
        (["--args", " "], "--args: there is no word in it"),
        (["--env", "HOME"], 'invalid value "HOME" for flag -env'),
        (["--memory", "much"], "--memory: invalid value 'much'"),
        (["--memory", "0"], "--memory: 0 is not a size above zero"),
        (["--memory", "-1"], "--memory: -1 is not a size above zero"),
        (["--cpus", "nan"], 'invalid value "nan" for flag -cpus'),
        (["--cpus", "1e9"], 'invalid value "1e9" for flag -cpus'),
        (["--cpus", "0.001"], "--cpus: 0.001 is too few"),
        (["--pids", "0"], "--pids: a container has one process at least"),
        (["--pids", "-3"], 'invalid value "-3" for flag -pids'),
        (["--user", "root"], 'bad uid: "root"'),
        (["--net", "bridge"], "--net: unknown network 'bridge'"),
        (["--bind", "a:b:c:d"], 'invalid value "a:b:c:d" for flag -bind'),
        (["--bind", "/usr:usr"], "--bind: 'usr' is no absolute path of a place"),
        (["--bind", "/usr:/"], "--bind: '/' is no absolute path of a place"),
        (["--bind", "/usr:/../."], "--bind: '/../.' is no absolute path of a place"),
        (["--tmpfs", "//"], "--tmpfs: '//' is no absolute path of a place"),
        (["--bind", ""], 'invalid value "" for flag -bind'),
        (["--bind", ":/data"], 'invalid value ":/data" for flag -bind'),
        (["--bind", ":ro"], 'invalid value ":ro" for flag -bind'),
        (["--tmpfs", "tmp"], "--tmpfs: 'tmp' is no absolute path of a place"),
        (["--tmpfs", "/tmp:x"], "--tmpfs: invalid value 'x'"),
        (["--cwd", "srv"], "process.cwd"),
        (["--hostname", "a\udcff"], "no UTF-8 text"),
        (["--", "a\udcff"], "COMMAND: "),
        (["--rootfs", "\udcff"], "--rootfs: "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_written(spec, words, said):
    config, err = spec(*words)
    assert config is None and said in err.replace('\\"', '"') and "internal error" not in err

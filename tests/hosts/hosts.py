#!/usr/bin/env python3
"""Debian's releases as trees of files on this machine, and pyoci tried on each as its users and we would.

    hosts.py run [HOST]... [--parts PART,...]   a fresh tree for each host, the parts in it, a table of the outcome
    hosts.py enter HOST [COMMAND]...            a tree as `run` has it, with today's sources; it is kept until `clean`
    hosts.py clean                              removes trees in use; `clean all` also what was downloaded

Hosts: debian12, debian13, forky (its own Python 3), forky-3.13, forky-3.15, experimental (forky with the engines that
experimental alone has, and cgroup v2 alone, which they insist on). Needs root on Debian.
A tree has git, make and ca-certificates, no more, and is entered with a mount, a pid and a UTS namespace of its own;
kernel, network, /dev and cgroups are this machine's. The sources lie below /root, which is closed to others; /tmp is a
disk's on Debian 12 and a tmpfs on later ones, as Debian has it.
Everything lies in $PYOCI_HOSTS (default ~/.cache/pyoci-hosts): trees, packages, logs. Packages come from the mirror
that apt is configured with here, by the same proxy and certificates.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
STORE = Path(os.environ.get("PYOCI_HOSTS") or CACHE / "pyoci-hosts")
# What README asks for
GIVEN = ("git", "make", "ca-certificates")
KEPT = re.compile(r"(?i)proxy|cert|ssl|^pip_|^pyoci_|^pytest_|^jobs$|^term$")


class Host(NamedTuple):
    """A release of Debian, and which of its Pythons is used.

    newer:   packages that come from experimental
    unified: it sees cgroup v2 alone, with the controllers that this machine has there, which may be none
    """

    suite: str
    python: str = "python3"
    tmpfs: bool = True
    newer: tuple[str, ...] = ()
    unified: bool = False


HOSTS = {
    "debian12": Host("bookworm", tmpfs=False),
    "debian13": Host("trixie"),
    "forky": Host("forky"),
    "forky-3.13": Host("forky", "python3.13"),
    "forky-3.15": Host("forky", "python3.15"),
    "experimental": Host("forky", newer=("podman", "runc", "crun"), unified=True),
}
ORDINARY = [name for name, host in HOSTS.items() if not host.newer]

# Each part is a script that begins in the checkout; the first one that fails does not keep the others from running
INSTALL = """
apt-get -qq install -y --no-install-recommends {packages} $python-venv $python-dev >/dev/null
$python -m venv /opt/pyoci
/opt/pyoci/bin/pip install -q .
cd / && exec /root/pyoci/tests/tools/demo.sh /opt/pyoci/bin/pyoci /opt/pyoci/bin/python
"""
PIPX = """
apt-get -qq install -y --no-install-recommends {packages} pipx $python-venv $python-dev >/dev/null
PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install --python $python .
cd / && exec /root/pyoci/tests/tools/demo.sh /usr/local/bin/pyoci /opt/pipx/venvs/pyoci-runtime/bin/python
"""
# README's lines from nothing to a shell in a container, whose terminal is script(1)'s
LINES = """
make install
pyoci version | grep -x 'start: frozen'
cd /tmp
install -D /bin/busybox box/rootfs/bin/busybox && chroot box/rootfs /bin/busybox --install -s /bin
pyoci spec --bundle box
echo 'echo as $$; exit' | script -qec 'pyoci run --bundle box hello' /dev/null | grep 'as 1'
make -C /root/pyoci uninstall
rm -r box && test ! -e /usr/local/bin/pyoci
"""
DEB = """
make deb
apt-get -qq install -y --no-install-recommends ./build/deb/pyoci_*.deb >/dev/null
pyoci version | grep -x 'start: frozen'
cd / && pyoci sandbox sh -c 'echo in a container'
/root/pyoci/tests/tools/demo.sh /usr/bin/pyoci /usr/bin/python3
apt-get -qq purge -y pyoci >/dev/null && ! ls -d /usr/lib/python3/dist-packages/pyoci
"""
NEEDED = "gcc libc6-dev musl-tools libseccomp2 busybox-static"  # docs/install.md
PARTS = {
    "lines": LINES,
    "demo": "make demo",
    "install": INSTALL.format(packages=NEEDED),
    "pipx": PIPX.format(packages=NEEDED),
    "unit": "make test-unit",
    "integration": "make test-integration",
    "security": "make test-security",
    "deb": DEB,
}
ABOUT = """
gcc -dumpfullversion
build/venv/bin/python -c 'import platform; print(platform.python_version())'
build/bin/pyoci --version
"""


def say(text: str) -> None:
    print(f"hosts: {text}", file=sys.stderr, flush=True)


def must(command: list[str], **options: "object") -> None:
    done = subprocess.run(command, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"hosts: {shlex.join(command)}: status {done.returncode}")


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


# ------------------------------------------------------------------------------------------------- what the host lends


def mirror() -> str:
    """The mirror of Debian that this machine uses."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages"]
    found = output(words).split()
    if not found:
        sys.exit("hosts: no mirror of Debian is configured here")
    return found[0].rstrip("/")


def apt_settings() -> str:
    """How apt reaches the mirror from here, and what every tree has: kept packages, and a Release file past its date,
    which a release under way may have."""
    kept = [line for line in output(["apt-config", "dump", "--no-empty"]).splitlines()
            if re.match(r"Acquire::(http|https|Retries|ftp|.*Proxy)\b", line)]  # fmt: skip
    kept += [f'Acquire::{name} "false";' for name in ("Check-Valid-Until", "Check-Date")]
    kept += ['Acquire::Languages "none";', 'Binary::apt-get::APT::Keep-Downloaded-Packages "true";',
             'APT::Keep-Downloaded-Packages "true";', 'APT::Sandbox::User "root";']  # fmt: skip
    return "\n".join(kept) + "\n"


def lend(tree: Path) -> None:
    """Gives a tree what of this machine's configuration the way to mirrors takes."""
    (tree / "etc/apt/apt.conf.d/00hosts").write_text(apt_settings())
    for name in ("etc/resolv.conf", "etc/hosts", "etc/pip.conf"):
        if Path("/", name).exists():
            (tree / name).unlink(missing_ok=True)
            shutil.copy(Path("/", name), tree / name)
    shutil.copytree("/usr/local/share/ca-certificates", tree / "usr/local/share/ca-certificates", dirs_exist_ok=True)


# ---------------------------------------------------------------------------------------------------------- the trees


def pristine(suite: str) -> Path:
    """A release with what README asks for, made once."""
    tree = STORE / "pristine" / suite
    if tree.exists():
        return tree
    if not shutil.which("mmdebstrap"):
        must(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"])
    say(f"installing {suite} into {tree}")
    tree.parent.mkdir(parents=True, exist_ok=True)
    made, settings = tree.with_suffix(".new"), STORE / "apt.conf"
    settings.write_text(apt_settings())
    shutil.rmtree(made, ignore_errors=True)
    must(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--aptopt={settings}",
          '--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io", f"--include={','.join(GIVEN)}",
          suite, str(made), mirror()])  # fmt: skip
    lend(made)
    must(["chroot", str(made), "update-ca-certificates"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made.rename(tree)
    return tree


def fresh(name: str) -> Path:
    """A host nobody has used yet, with a clone of this checkout as it is now."""
    tree, made = STORE / "live" / name, STORE / "new" / name
    remove(tree)
    remove(made)
    for place in (tree, made):
        place.parent.mkdir(parents=True, exist_ok=True)
    must(["cp", "-a", "--reflink=auto", str(pristine(HOSTS[name].suite)), str(made)])
    lend(made)
    must(["git", "clone", "-q", "--no-hardlinks", str(SOURCES), str(made / "root/pyoci")])
    renew(made)
    made.rename(tree)
    if HOSTS[name].newer and enter(name, NEWER.format(mirror=mirror(), packages=" ".join(HOSTS[name].newer))):
        sys.exit(f"hosts: {name}: packages of experimental cannot be installed")
    return tree


def renew(tree: Path) -> None:
    """Brings what was changed in this checkout into a tree's clone."""
    clone = tree / "root/pyoci"
    words = ["git", "-C", str(SOURCES), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    archive = ["tar", "-C", str(SOURCES), "-c", "--null", "--ignore-failed-read", "-T", "-"]
    files = subprocess.run(archive, input=names, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    must(["tar", "-C", str(clone), "-x"], input=files)
    must(["chown", "-R", "0:0", str(clone)])


def remove(tree: Path) -> None:
    """Takes a tree apart. Nothing is mounted in it but what is gone with its namespace."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in mounted if point.startswith(f"{tree}/")]
    if inside:
        sys.exit(f"hosts: something is mounted in {tree}: {inside[0]}")
    shutil.rmtree(tree, ignore_errors=True)


# What is installed must not begin to run
NEWER = """set -eu
echo 'deb {mirror} experimental main' >/etc/apt/sources.list.d/experimental.list
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install -y --no-install-recommends -t experimental {packages} >/dev/null
"""

# In the new namespaces: what a host has mounted, then its root; pivot_root and not chroot, since nothing below a chroot
# may make user namespaces. What stays as the first process takes the status of orphans.
ENTER = r"""
set -eu
tree=$1 debs=$2 lists=$3 pip=$4 tmpfs=$5 unified=$6
shift 6
hostname "${tree##*/}"
mount --bind "$tree" "$tree"
cd "$tree"
mount -t proc proc proc
if [ -n "$unified" ]; then
    mount --bind /sys sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount --rbind /sys sys
fi
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/lock && chmod 1777 run/lock
[ -z "$tmpfs" ] || mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$debs" var/cache/apt/archives
mount --bind "$lists" var/lib/apt/lists
mkdir -p root/.cache/pip mnt
mount --bind "$pip" root/.cache/pip
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
cd /root/pyoci
sh -c "$1"
exit $?
"""


def environment(host: Host) -> dict[str, str]:
    """What a login has, and of ours what the way to mirrors takes."""
    kept = {name: value for name, value in os.environ.items() if KEPT.search(name)}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    own = {"HOME": "/root", "PATH": path, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return {**kept, **own, "PYTHON": host.python, "python": host.python}


def enter(name: str, script: str, **options: "object") -> int:
    """Runs a shell's script in a tree; its status."""
    host = HOSTS[name]
    stores = [STORE / "debs" / host.suite, STORE / "lists" / host.suite, STORE / "pip"]
    for store in stores:
        (store / "partial").mkdir(parents=True, exist_ok=True)
    words = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--propagation", "private"]
    words += ["sh", "-c", ENTER, "sh", str(STORE / "live" / name), *map(str, stores)]
    words += ["yes" if told else "" for told in (host.tmpfs, host.unified)]
    done = subprocess.run([*words, script], env=environment(host), check=False, **options)  # type: ignore[call-overload]
    return int(done.returncode)


# ------------------------------------------------------------------------------------------------------------ the table


class Outcome(NamedTuple):
    """What a part came to."""

    host: str
    part: str
    status: int
    seconds: float
    counts: str


def counts(log: str) -> str:
    """pytest's last line: passed/failed/skipped."""
    lines = re.findall(r"^=*\s*((?:\d+ [a-z]+,? ?)+) in [\d.]+s", log, re.MULTILINE)
    if not lines:
        return ""
    found = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", lines[-1])}
    failed = sum(found.get(word, 0) for word in ("failed", "error", "errors"))
    return f"{found.get('passed', 0)}/{failed}/{found.get('skipped', 0)}"


def do_part(name: str, part: str) -> Outcome:
    """Runs one part, its output in a log; the end of the log is shown if it fails."""
    path = STORE / "logs" / f"{name}.{part}"
    path.parent.mkdir(parents=True, exist_ok=True)
    say(f"{name}: {part} ({path})")
    begun = time.monotonic()
    with path.open("w") as log:
        script = f"set -eu\n{PARTS[part]}"
        status = enter(name, script, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - begun
    text = path.read_text(errors="replace")
    if status:
        print("\n".join(text.splitlines()[-40:]), file=sys.stderr, flush=True)
        say(f"{name}: {part}: status {status}")
    return Outcome(name, part, status, seconds, counts(text))


def about(name: str) -> tuple[str, str, str]:
    """The compiler, the Python and the start that a host's build has."""
    path = STORE / "logs" / f"{name}.about"
    with path.open("w") as log:
        enter(name, ABOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    text = path.read_text()
    lines = [*text.splitlines(), "?", "?"]
    start = re.search(r"^start: (.*)", text, re.MULTILINE)
    return lines[0], lines[1], start.group(1) if start else "?"


def table(outcomes: list[Outcome], facts: dict[str, tuple[str, str, str]]) -> str:
    rows = [("host", "gcc", "Python", "start", "part", "", "passed/failed/skipped", "seconds")]
    for one in outcomes:
        word = "ok" if one.status == 0 else "FAILED"
        rows.append((one.host, *facts[one.host], one.part, word, one.counts, f"{one.seconds:.0f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


# ----------------------------------------------------------------------------------------------------------- the words


def run(names: list[str], parts: list[str], keep: bool) -> int:
    outcomes: list[Outcome] = []
    facts: dict[str, tuple[str, str, str]] = {}
    for name in names:
        fresh(name)
        outcomes += [do_part(name, part) for part in parts]
        facts[name] = about(name)
        if not keep:
            remove(STORE / "live" / name)
    print(table(outcomes, facts))
    return 1 if any(one.status for one in outcomes) else 0


def clean(everything: bool) -> int:
    live = STORE / "live"
    for tree in live.iterdir() if live.exists() else ():
        remove(tree)
    if everything:
        shutil.rmtree(STORE, ignore_errors=True)
    return 0


def arguments(words: Optional[list[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("hosts", nargs="*", metavar="HOST")
    runs.add_argument("--parts", default=",".join(PARTS), help="of: " + ",".join(PARTS))
    runs.add_argument("--keep", action="store_true", help="keep the trees, for `enter`")
    enters = commands.add_parser("enter")
    enters.add_argument("host", choices=HOSTS)
    enters.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    commands.add_parser("clean").add_argument("what", nargs="?", choices=["all"])
    given = parser.parse_args(words)
    if given.command == "run":
        given.hosts = given.hosts or ORDINARY
        given.parts = given.parts.split(",")
        wrong = [name for name in given.hosts if name not in HOSTS]
        wrong += [part for part in given.parts if part not in PARTS]
        if wrong:
            parser.error(f"no such host or part: {' '.join(wrong)}")
    return given


def main() -> int:
    given = arguments()
    if os.geteuid() != 0:
        sys.exit("hosts: needs root")
    STORE.mkdir(parents=True, exist_ok=True)
    if given.command == "run":
        return run(given.hosts, given.parts, given.keep)
    if given.command == "clean":
        return clean(given.what == "all")
    tree = STORE / "live" / given.host
    renew(tree) if tree.exists() else fresh(given.host)
    return enter(given.host, shlex.join(given.words) or "exec bash")


if __name__ == "__main__":
    sys.exit(main())

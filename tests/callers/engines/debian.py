"""An image with a Debian root: files of this machine's own packages, so that no network is needed; made once."""

import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support.image import image_archive

REFERENCE = "docker.io/library/deb:latest"
ARCHIVE = Path(__file__).parents[3] / "build" / "callers" / "debian.tar"
PACKAGES = [
    "base-files", "base-passwd", "bash", "coreutils", "dash", "grep", "hostname", "libacl1", "libattr1", "libc6",
    "libc-bin", "libcrypt1", "libgmp10", "libpcre2-8-0", "libselinux1", "libtinfo6", "mawk", "perl-base", "sed",
    "util-linux", "libsmartcols1", "libmount1", "libblkid1", "libuuid1", "libcap-ng0", "libudev1", "libsystemd0",
]  # fmt: skip
LEFT_OUT = re.compile("/usr/share/(doc|man|locale|lintian)/|/gconv/")
MERGED = ("/bin", "/sbin", "/lib", "/lib64")  # links to directories of /usr


def _files() -> "list[str]":
    """Real paths of the packages' files; the ones of packages that are not here are left out."""
    words = ["dpkg-query", "-L", *PACKAGES]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    found = set()
    for path in done.stdout.decode().split("\n"):
        first = "/" + path.partition("/")[2].partition("/")[0]
        if first in MERGED and path not in MERGED:
            path = "/usr" + path
        if path.startswith("/") and not LEFT_OUT.search(path) and os.path.lexists(path):
            found.add(path)
    return sorted(found)


def _copy(root: Path) -> Path:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in _files():
                if not os.path.isdir(path) or os.path.islink(path):
                    tar.add(path, arcname=path.lstrip("/"), recursive=False)
        file.seek(0)
        subprocess.run(["tar", "-x", "-C", str(root)], stdin=file, check=True)
    for name in ("proc", "sys", "dev", "run", "root", "home", "tmp", "etc", "var"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in MERGED:
        (root / name[1:]).unlink(missing_ok=True)
        if os.path.islink(name):
            (root / name[1:]).symlink_to(os.readlink(name))
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text((root / "usr/share/base-passwd" / f"{name}.master").read_text())
    return root


def archive() -> Path:
    """The image, in the form of `docker save`. Several workers may make it at once: the last one's is as good."""
    if not ARCHIVE.exists():
        ARCHIVE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ARCHIVE.parent) as place:
            root = Path(place, "root")
            root.mkdir()
            made = image_archive(_copy(root), Path(place, "debian.tar"), REFERENCE, ["/bin/bash"], "/usr/bin:/bin")
            os.replace(made, ARCHIVE)
    return ARCHIVE

"""`make install` and `make uninstall`: what a user, a package's maker and an administrator expect in its places.

    python -m csrc.build.install install|uninstall [--destdir DIR] [--prefix DIR] [--packages DIR] [--no-compile]
    python -m csrc.build.install wheel|dist [--into DIR]

The package is built as a wheel from a copy of the sources and unpacked below the prefix. The launcher finds the package
from where it lies itself (launcher.c), so the tree may be made in one place and used in another. What was installed is
listed in share/pyoci/installed, for `uninstall` and for the next `install`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

from .compiler import PROJECT

LIST = "share/pyoci/installed"
SOURCES = ("pyoci", "csrc", "schemas", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md")
DOCS = ("README.md", "CHANGELOG.md", "SECURITY.md", "docs", "contrib")
COMPLETIONS = {
    "pyoci.bash": "share/bash-completion/completions/pyoci",
    "_pyoci": "share/zsh/site-functions/_pyoci",
    "pyoci.fish": "share/fish/vendor_completions.d/pyoci.fish",
}
# Below the prefix, as launcher.c looks for them
PLACES = (
    "lib/python{version}/site-packages",
    "lib64/python{version}/site-packages",
    "lib/python{version}/dist-packages",
    "local/lib/python{version}/dist-packages",
    "lib/python3/dist-packages",
)
ASK = "import site; print(*site.getsitepackages(), sep='\\n')"


def files(*names: str) -> list[str]:
    """The files of the checkout below some names: those that git knows or, in an archive, all but what is built."""
    if os.path.exists(os.path.join(PROJECT, ".git")):
        words = ["git", "-C", PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *names]
        found = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
        return sorted(name for name in found if os.path.isfile(os.path.join(PROJECT, name)))
    found = [name for name in names if os.path.isfile(os.path.join(PROJECT, name))]
    for name in names:
        for place, directories, inside in os.walk(os.path.join(PROJECT, name)):
            directories[:] = [one for one in directories if one not in ("__pycache__", "programs")]
            found += [os.path.relpath(os.path.join(place, one), PROJECT) for one in inside if not one.endswith(".so")]
    return sorted(found)


def copied(scratch: str, *names: str) -> str:
    """Copies the sources: a build leaves files that the next would take for sources."""
    for name in files(*names):
        copy(os.path.join(PROJECT, name), os.path.join(scratch, name))
    return scratch


def build_wheel(target: str, part: str = "") -> str:
    """Builds a wheel into a directory: of the runtime, or of a part of the repository that is a distribution itself."""
    from .generate import commit  # takes cffi, which `uninstall` can do without

    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as made:
        place = os.path.join(copied(scratch, *([part] if part else SOURCES)), part)
        known = {**os.environ, "PYOCI_COMMIT": commit()}
        words = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
        subprocess.run([*words, "--no-build-isolation", "-w", made, place], check=True, env=known)
        (name,) = os.listdir(made)
        return shutil.copy(os.path.join(made, name), target)


def build_archive(target: str) -> None:
    """Builds the source archive into a directory."""
    with tempfile.TemporaryDirectory() as scratch:
        script = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
        words = [sys.executable, "-c", script, os.path.abspath(target)]
        subprocess.run(words, cwd=copied(scratch, "."), check=True, stdout=subprocess.DEVNULL)


def copy(source: str, target: str) -> None:
    """Copies a file; programs stay programs, and all can be read by everybody."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)


def packages(prefix: str) -> str:
    """Where the package goes: the first place below the prefix that Python looks into, else the first of all."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    words = [getattr(sys, "_base_executable", None) or sys.executable, "-I", "-c", ASK]
    looked = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    places = [place.format(version=version) for place in PLACES]
    return next((place for place in places if os.path.join(prefix, place) in looked), places[0])


class Installation:
    """A tree below a directory, and the list of what was put into it.

    tree:   where files are written: DESTDIR and the prefix
    prefix: where they will be
    """

    def __init__(self, destdir: str, prefix: str) -> None:
        self.prefix = os.path.abspath(prefix)
        self.tree = os.path.abspath(destdir + self.prefix)
        self.made: list[str] = []

    def path(self, name: str) -> str:
        """A name below the prefix, as the path of a file that may be written."""
        path = os.path.normpath(os.path.join(self.tree, name))
        if not path.startswith(self.tree.rstrip("/") + "/"):
            sys.exit(f"pyoci: {name} is not below {self.tree}")
        return path

    def put(self, source: str, name: str) -> None:
        """Copies a file to a name below the prefix."""
        path = self.path(name)
        if os.path.lexists(path):
            os.unlink(path)  # it may be running, or a link to a file of others
        self.make_directory(os.path.dirname(path))
        copy(source, path)
        self.made.append(name)

    def make_directory(self, path: str) -> None:
        """Makes a directory and those above it; what is made is ours to remove."""
        if not os.path.isdir(path):
            self.make_directory(os.path.dirname(path))
            os.mkdir(path)
            self.claim(path)

    def claim(self, directory: str) -> None:
        """Notes a directory, with a / at its end, as ours, if it is below the prefix."""
        if directory.startswith(self.tree.rstrip("/") + "/"):
            self.made.append(os.path.relpath(directory, self.tree) + "/")

    def unpack(self, wheel: str, place: str) -> None:
        """Installs a wheel: its programs into bin, the rest into a directory of packages."""
        with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                path = archive.extract(entry, scratch)
                os.chmod(path, (entry.external_attr >> 16) & 0o777 or 0o644)
                whole, _, rest = entry.filename.partition(".data/")
                self.put(path, f"bin/{os.path.basename(rest)}" if rest else f"{place}/{whole}")

    def compile(self, place: str) -> None:
        """Compiles the package's modules for programs that import it."""
        import compileall

        package = self.path(f"{place}/pyoci")
        compileall.compile_dir(package, stripdir=self.tree, prependdir=self.prefix, quiet=1)
        for directory, _, names in os.walk(package):
            if os.path.basename(directory) == "__pycache__":
                self.claim(directory)
                self.made += [os.path.relpath(os.path.join(directory, name), self.tree) for name in names]

    def write_list(self) -> None:
        """Writes down what was made."""
        path = self.path(LIST)
        self.make_directory(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in sorted({*self.made, LIST})))
        os.chmod(path, 0o644)

    def remove(self) -> bool:
        """Removes what the list names, and of its directories those that are empty then; says whether there was a list.
        Others, as /usr/local/bin, were there before us."""
        try:
            with open(self.path(LIST), encoding="utf-8") as file:
                names = file.read().splitlines()
        except FileNotFoundError:
            return False
        directories = set()
        for name in names:
            path = self.path(name)
            if name.endswith("/"):
                directories.add(path)
            elif os.path.lexists(path):
                os.unlink(path)
        for directory in sorted(directories, key=len, reverse=True):
            if "pyoci" in os.path.relpath(directory, self.tree).split("/"):  # what Python has compiled since
                shutil.rmtree(os.path.join(directory, "__pycache__"), ignore_errors=True)
            try:
                os.rmdir(directory)
            except OSError:
                if os.path.isdir(directory):
                    self.claim(directory)  # others' files are in it: for the next list
        return True


def install(given: argparse.Namespace) -> int:
    """Builds, then replaces what an earlier `make install` left."""
    made = Installation(given.destdir, given.prefix)
    place = given.packages or packages(made.prefix)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(scratch)
        if not made.remove() and os.path.exists(made.path(f"{place}/pyoci")):
            sys.exit(f"pyoci: {made.path(place)}/pyoci is there, and not by `make install`: remove it first")
        made.unpack(wheel, place)
    for name in files("man"):
        made.put(os.path.join(PROJECT, name), f"share/man/man8/{os.path.basename(name)}")
    for name, target in COMPLETIONS.items():
        made.put(os.path.join(PROJECT, "completions", name), target)
    for name in files(*DOCS):
        made.put(os.path.join(PROJECT, name), f"share/doc/pyoci/{name}")
    if not given.no_compile:
        made.compile(place)
    made.write_list()
    say(f"{made.tree}/bin/pyoci and {len(made.made)} files; `make uninstall` removes them")
    return 0 if given.destdir else check(made)


def check(made: Installation) -> int:
    """Tries what was installed, where it is to stay."""
    done = subprocess.run([made.path("bin/pyoci"), "version", "--check"], check=False, stdout=subprocess.DEVNULL)
    return done.returncode


def uninstall(given: argparse.Namespace) -> int:
    """Removes what `make install` has put there."""
    made = Installation(given.destdir, given.prefix)
    if not made.remove():
        say(f"nothing to remove: {made.path(LIST)} is not there")
    return 0


def say(text: str) -> None:
    """Tells the user."""
    sys.stderr.write(f"pyoci: {text}\n")


def main(words: list[str]) -> int:
    """Does what the words say."""
    parser = argparse.ArgumentParser(prog="install", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("verb", choices=["install", "uninstall", "wheel", "dist"])
    parser.add_argument("--destdir", default="")
    parser.add_argument("--prefix", default="/usr/local")
    parser.add_argument("--packages", default="", help="where the package goes, below the prefix")
    parser.add_argument("--into", default="build/wheels", help="where archives go")
    parser.add_argument("--no-compile", action="store_true", help="write no compiled files: the system does it")
    given = parser.parse_args(words)
    os.umask(0o022)  # others are to use what root installs
    if given.verb in ("wheel", "dist"):
        os.makedirs(given.into, exist_ok=True)
        say(build_wheel(given.into))
        if given.verb == "dist":
            build_wheel(given.into, "conformance")
            build_archive(given.into)
        return 0
    return install(given) if given.verb == "install" else uninstall(given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

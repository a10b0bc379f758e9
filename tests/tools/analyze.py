"""Compiles csrc/ with warnings as errors, under clang's analyzer, and with sanitizers; prints what they say."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from csrc.build import compiler, shim  # noqa: E402

FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "csrc")]
PLACES = ("PYTHON", "LIBRARY", "PACKAGES", "PREFIX", "EXEC_PREFIX", "PLATLIBDIR", "STDLIB", "EXTENSIONS", "SUFFIX")
PLACES += ("START",)
EXTRA = [f'-DPYOCI_{name}="/place"' for name in PLACES]
EXTRA += [f"-isystem{sysconfig.get_path(name)}" for name in ("include", "platinclude")]


def sources(scratch: str) -> "list[Path]":
    """Every C file of the project, and the one that cffi makes for it."""
    return [*sorted((ROOT / "csrc").glob("*/*.c")), Path(shim.write_module(scratch))]


def run(title: str, *command: str) -> bool:
    """Runs one command; what it prints is shown when it fails or complains."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode or done.stdout.strip():
        print(f"-- {title}\n{done.stdout}")
    return done.returncode == 0 and not done.stdout.strip()


def musl(source: Path, headers: str, extra: "list[str]") -> bool:
    """Compiles one file with musl's headers, beside which the kernel's are found, and for Python's files those that
    pyconfig.h includes. The result is not linked: the Python here has another C library."""
    after = ["-idirafter", headers, *(["-idirafter", "/usr/include"] if extra else [])]
    output = ["-c", "-o", f"{headers}/object", str(source)]
    return run(f"musl-gcc {source.name}", "musl-gcc", *FLAGS, *extra, *after, *output)


def main() -> int:
    """Status 1 when anything has something to say."""
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        headers = f"{scratch}/headers"
        Path(headers).mkdir()
        compiler.kernel_headers(headers)
        for source in sources(scratch):
            extra = EXTRA if source.stem in ("launcher", "interpreter", "import", "_native") else []
            for name in ("gcc", "clang"):
                output = ["-c", "-o", f"{scratch}/object", str(source)]
                good &= run(f"{name} {source.name}", name, *FLAGS, *extra, *output)
            good &= musl(source, headers, extra)
            analyzer = ["clang", "--analyze", "-Xclang", "-analyzer-werror", *FLAGS, *extra]
            good &= run(f"analyzer {source.name}", *analyzer, "-o", f"{scratch}/report", str(source))
    print("csrc: clean under gcc, musl-gcc, clang and clang's analyzer" if good else "csrc: see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

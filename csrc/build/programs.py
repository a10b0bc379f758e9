"""The two static programs, init and the launcher, and what is said of a build when it is done."""

import os
import sys
import sysconfig

from . import trial
from .compiler import PROJECT, compile_static, source
from .interpreter import packages, stock

INIT = ["init", "decode", "report", "walk", "procfs", "copy", "steps_namespaces", "steps_rootfs", "steps_process"]


def build_init(package: str) -> None:
    sources = [source("shared/hook.c"), *[source(f"init/{name}.c") for name in INIT]]
    compile_static(os.path.join(package, "programs", "init"), sources)


def build_launcher(output: str, *flags: str) -> None:
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = {"PYTHON": stock(), "LIBRARY": library, "PACKAGES": packages()}
    defines = [f'-DPYOCI_{name}="{value}"' for name, value in places.items()]
    compile_static(output, [source("start/launcher.c")], *defines, *flags)


def in_tree() -> list[str]:
    """The programs of a checkout know where the checkout is, and where the cffi is that they were built with."""
    both = f"{sysconfig.get_path('platlib')}:{packages()}"
    return [f'-DPYOCI_IN_TREE="{PROJECT}"', "-UPYOCI_PACKAGES", f'-DPYOCI_PACKAGES="{both}"']


def finish(start: str, package: str) -> None:
    """Says which start the build got. A program of our own was tried when it was linked; the stock one needs the shim,
    which is the last to be built."""
    if start == "stock" and not trial.foreign():
        places = f"packages={sysconfig.get_path('platlib')}:{packages()}"
        words = [stock(), "-I", "-S", "-B", "-X", "utf8", "-X", places, os.path.join(package, "__main__.py")]
        problem = trial.problem(words, package)
        if problem:
            sys.exit(f"pyoci: this build does not work, not even with the stock interpreter: {problem}")
    tried = "not tried here, since it is for another machine" if trial.foreign() else "tried with a container"
    if trial.refusals:
        tried = f"tried up to where the kernel refuses this build a container: {trial.refusals[-1]}"
    slower = "" if start == "frozen" else "; commands start slower than they could: docs/python.md says why"
    sys.stderr.write(f"pyoci: the build's start is {start}{slower} ({tried})\n")

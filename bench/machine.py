"""What a figure depends on besides the program: kernel, processors, interpreter, other runtimes. No names of hosts."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from bench.compiler import HERE

INTERPRETER = """
import platform, sys, sysconfig
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
kind = ["shared libpython" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "static libpython"]
kind += [name for name, flag in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if flag in arguments]
print(platform.python_version(), "(" + ", ".join(kind) + ")")
"""

Facts = dict[str, str]


def facts(pyoci: str, python: str) -> Facts:
    """What the results carry. python: the interpreter that pyoci was installed with."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.release().partition('-')[0]} ({platform.machine()})",
        "processors": f"{os.cpu_count()} ({_processor()})",
        "cgroups": _cgroups(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": _first_line(python, "-c", INTERPRETER),
        "pyoci": _first_line(pyoci, "--version"),
        "commit": _first_line("git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"),
        "runc": _first_line("runc", "--version"),
        "crun": _first_line("crun", "--version"),
    }


def line(known: Facts) -> str:
    """The facts as one line of markdown."""
    return "; ".join(f"{name}: {value}" for name, value in known.items() if value)


def bare_interpreter(python: str) -> str:
    """The interpreter behind a virtual environment's."""
    return _first_line(python, "-c", "import os, sys; print(os.path.realpath(sys._base_executable))")


def _processor() -> str:
    for entry in Path("/proc/cpuinfo").read_text().split("\n"):
        name, _, value = entry.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "unknown"


def _cgroups() -> str:
    types = {entry.split(" - ")[1].split()[0] for entry in Path("/proc/self/mountinfo").read_text().split("\n")[:-1]}
    return "v1" if "cgroup" in types else "v2"


def _said(*words: str) -> str:
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout
    except FileNotFoundError:
        return ""


def _first_line(*words: str) -> str:
    return _said(*words).partition("\n")[0]

"""Builds the wheel of the conformance suite, with the probe in it where there is a C compiler: then the machines that
judge need none. Without one the probe is compiled where it is first used."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel  # of 70.1 and later
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from builder import FLAGS  # noqa: E402


class Build(build_py):
    """The suite, and the probe."""

    def find_package_modules(self, package, package_dir):
        return [one for one in super().find_package_modules(package, package_dir) if one[1] != "setup"]

    def run(self):
        super().run()
        self.distribution.has_probe = False
        compiler = shutil.which(os.environ.get("CC") or "cc")
        if compiler:
            sources = sorted(str(path) for path in (HERE / "probe").glob("*.c"))
            target = Path(self.build_lib, "conformance", "probe", f"probe-{platform.machine()}")
            words = [compiler, *FLAGS, "-s", "-o", str(target), *sources]
            self.distribution.has_probe = subprocess.run(words, check=False).returncode == 0


class Wheel(bdist_wheel):
    """One for every Python and, with the probe in it, for one processor."""

    def get_tag(self):
        return "py3", "none", f"linux_{platform.machine()}" if self.distribution.has_probe else "any"


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel})

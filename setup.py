"""Builds pyoci: the shim, the static init, the static launcher, the interpreter with pyoci's modules in it, and
the Python files generated from C and schemas.

`pip install .` makes a wheel of it all; `python setup.py build_native --in-tree` builds into the checkout, where
build/bin/pyoci then runs it from the sources. The steps are csrc/*_build.py; docs/install.md says which variables of
the environment they heed.
"""

import os
import sys
import sysconfig

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# isort: split
# setuptools brings distutils where Python has none
from distutils.command.build_scripts import build_scripts

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "csrc")]

import shim_build  # noqa: E402
import trial_build  # noqa: E402
from compiler_build import cflags, compile_static, environment, source, write  # noqa: E402
from generate_build import generate  # noqa: E402
from interpreter_build import build_interpreter, includes, packages, stock  # noqa: E402

INIT = ["init", "decode", "report", "walk", "procfs", "copy", "hook"]
INIT += ["steps_namespaces", "steps_rootfs", "steps_process"]


def build_init(package):
    compile_static(os.path.join(package, "programs", "init"), [source(name + ".c") for name in INIT])


def build_launcher(output, *flags):
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    defines = {"PYTHON": stock(), "LIBRARY": library, "PACKAGES": packages()}
    defines = [f'-DPYOCI_{name}="{value}"' for name, value in defines.items()]
    compile_static(output, [source("launcher.c")], *defines, *flags)


def in_tree():
    """The programs of a checkout know where the checkout is, and where the cffi is that they were built with."""
    both = f"{sysconfig.get_path('platlib')}:{packages()}"
    return [f'-DPYOCI_IN_TREE="{HERE}"', "-UPYOCI_PACKAGES", f'-DPYOCI_PACKAGES="{both}"']


def finish(start, package):
    """Says which start the build got. A program of our own was tried when it was linked; the stock one needs the shim,
    which is the last to be built."""
    if start == "stock" and not trial_build.foreign():
        places = f"packages={sysconfig.get_path('platlib')}:{packages()}"
        words = [stock(), "-I", "-S", "-B", "-X", "utf8", "-X", places, os.path.join(package, "__main__.py")]
        problem = trial_build.problem(words, package)
        if problem:
            sys.exit(f"pyoci: this build does not work, not even with the stock interpreter: {problem}")
    tried = "not tried here, since it is for another machine" if trial_build.foreign() else "tried with a container"
    if trial_build.refusals:
        tried = f"tried up to where the kernel refuses this build a container: {trial_build.refusals[-1]}"
    slower = "" if start == "frozen" else "; commands start slower than they could: docs/python.md says why"
    sys.stderr.write(f"pyoci: the build's start is {start}{slower} ({tried})\n")


class BuildPackage(build_py):
    """The Python files, then beside them what is generated and init."""

    def run(self):
        super().run()
        editable = getattr(self, "editable_mode", False)
        package = os.path.abspath(os.path.join(HERE if editable else self.build_lib, "pyoci"))
        generate(package)
        build_init(package)
        self.distribution.pyoci = build_interpreter(package, *(in_tree() if editable else [])), package


class BuildLauncher(build_scripts):
    """The launcher takes the place of a script: pip's own would start an interpreter open to its environment."""

    def run(self):
        editable = getattr(self.distribution.get_command_obj("build_py"), "editable_mode", False)
        build_launcher(os.path.join(self.build_dir, "pyoci"), *(in_tree() if editable else []))
        if hasattr(self.distribution, "pyoci"):
            finish(*self.distribution.pyoci)

    def get_source_files(self):
        return ["csrc/launcher.c"]


class BuildShim(build_ext):
    """The shim for interpreters that it is not linked into. Always made anew: its module is, too."""

    def build_extension(self, extension):
        module = os.path.join(self.build_temp, "_shim.c")
        write(module, shim_build.module().encode())
        extension.sources = [module, source("shim.c"), source("hook.c")]
        extension.include_dirs = ["csrc", *includes()]
        extension.extra_compile_args = [*cflags(os.path.abspath(self.build_temp)), "-Wno-error"]
        super().build_extension(extension)


class BuildNative(Command):
    """Everything into the checkout, for work on it."""

    user_options = [("in-tree", None, "build into the checkout")]
    boolean_options = ["in-tree"]

    def initialize_options(self):
        self.in_tree = False

    def finalize_options(self):
        pass

    def run(self):
        package = os.path.join(HERE, "pyoci")
        generate(package)
        build_init(package)
        build_launcher(os.path.join(HERE, "build", "bin", "pyoci"), *in_tree())
        extensions = self.reinitialize_command("build_ext", inplace=1)
        extensions.ensure_finalized()
        extensions.run()
        finish(build_interpreter(package, *in_tree()), package)


setup(
    ext_modules=[
        Extension("pyoci._shim", [], include_dirs=["csrc"], extra_link_args=["-pthread", *environment("LDFLAGS")])
    ],
    scripts=["csrc/launcher.c"],  # a name is needed for build_scripts to run; it writes the program instead
    cmdclass={
        "build_py": BuildPackage,
        "build_ext": BuildShim,
        "build_scripts": BuildLauncher,
        "build_native": BuildNative,
    },
)

"""setuptools' commands, where pyoci's are others: the steps, in their order."""

import os
from typing import ClassVar

from setuptools import Command, Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# isort: split
# setuptools brings distutils where Python has none
from distutils.command.build_scripts import build_scripts

from . import shim
from .compiler import CSRC, PROJECT, cflags, environment, source
from .generate import generate
from .interpreter import build_interpreter, includes
from .programs import build_init, build_launcher, finish, in_tree

LAUNCHER = "csrc/start/launcher.c"  # a name is needed for build_scripts to run; it writes the programs instead
COMMAND, PLUGIN = "pyoci", "containerd-shim-pyoci-v1"  # the same program: it does what its name says

built: list[tuple[str, str]] = []  # the start of the interpreter's program, and the package directory with it in


class BuildPackage(build_py):
    """The Python files, then beside them what is generated, init and the interpreter."""

    def run(self) -> None:
        super().run()
        editable = getattr(self, "editable_mode", False)
        package = os.path.abspath(os.path.join(PROJECT if editable else self.build_lib, "pyoci"))
        generate(package)
        build_init(package)
        built.append((build_interpreter(package, *(in_tree() if editable else [])), package))


class BuildLauncher(build_scripts):
    """The launcher takes the place of a script: pip's own would start an interpreter open to its environment."""

    def run(self) -> None:
        editable = getattr(self.distribution.get_command_obj("build_py"), "editable_mode", False)
        for name in (COMMAND, PLUGIN):
            build_launcher(os.path.join(self.build_dir, name), *(in_tree() if editable else []))
        if built:
            finish(*built[-1])

    def get_source_files(self) -> list[str]:
        return [LAUNCHER]


class BuildShim(build_ext):
    """The shim for interpreters that it is not linked into. Always made anew: its module is, too."""

    def build_extension(self, extension: Extension) -> None:
        module = shim.write_module(self.build_temp)
        extension.sources = [module, source("shim/shim.c"), source("shared/hook.c")]
        extension.include_dirs = [CSRC, *includes()]
        extension.extra_compile_args = [*cflags(os.path.abspath(self.build_temp)), "-Wno-error"]
        super().build_extension(extension)


class BuildNative(Command):
    """Everything into the checkout, for work on it."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = [("in-tree", None, "build into the checkout")]
    boolean_options = ["in-tree"]

    def initialize_options(self) -> None:
        self.in_tree = False

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        package = os.path.join(PROJECT, "pyoci")
        generate(package)
        build_init(package)
        for name in (COMMAND, PLUGIN):
            build_launcher(os.path.join(PROJECT, "build", "bin", name), *in_tree())
        extensions = self.reinitialize_command("build_ext", inplace=1)
        extensions.ensure_finalized()
        extensions.run()
        finish(build_interpreter(package, *in_tree()), package)


SHIM = Extension(shim.MODULE, [], extra_link_args=["-pthread", *environment("LDFLAGS")])
COMMANDS = {
    "build_py": BuildPackage,
    "build_ext": BuildShim,
    "build_scripts": BuildLauncher,
    "build_native": BuildNative,
}

"""Builds pyoci: the cffi shim, the static init, the static launcher, and the Python files generated from C and schemas.

`pip install .` makes a wheel of it all; `python setup.py build_native --in-tree` builds into the checkout, where
build/bin/pyoci then runs it from the sources.
"""

import compileall
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile

from setuptools import Command, setup
from setuptools.command.build_py import build_py

# isort: split
# setuptools brings distutils where Python has none
from distutils.command.build_scripts import build_scripts

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

CC = os.environ.get("CC", "cc").split()
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-fstack-protector-strong"]
INIT = ["init", "decode", "report", "walk", "procfs", "copy", "hook"]
INIT += ["steps_namespaces", "steps_rootfs", "steps_process"]


def source(name):
    return os.path.join(HERE, "csrc", name)


def compile_c(output, sources, *flags):
    """Compiles C to an executable; a failure ends the build with the compiler's words and what is likely missing."""
    command = [*CC, *CFLAGS, *flags, "-o", output, *sources]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"pyoci: no C compiler: {CC[0]} was not found (Debian: apt-get install gcc libc6-dev)")
    if done.returncode:
        sys.stderr.write(done.stdout)
        sys.exit("pyoci: the C compiler failed: " + " ".join(command))


def check_static_libc():
    """init and the launcher must be static: a dynamic loader reads files that the environment or the image chooses."""
    with tempfile.TemporaryDirectory() as scratch:
        probe = os.path.join(scratch, "probe.c")
        with open(probe, "w") as file:
            file.write("int main(void) { return 0; }\n")
        done = subprocess.run(
            [*CC, "-static", "-o", probe + ".out", probe],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.stderr.write(done.stdout)
        sys.exit(
            "pyoci: no static C library to link with. Install it: libc6-dev (Debian, Ubuntu), glibc-static (Fedora), "
            "musl-dev (Alpine), then build again."
        )


def generate(package):
    """Writes the generated Python files into a package directory."""
    with tempfile.TemporaryDirectory() as scratch:
        program = os.path.join(scratch, "generate")
        compile_c(program, [source("generate.c")])
        for what, name in (("kernel", "kernel.py"), ("operations", os.path.join("plan", "ops.py"))):
            text = subprocess.run([program, what], stdout=subprocess.PIPE, check=True).stdout
            write(os.path.join(package, name), text)
    library = runpy.run_path(source("libseccomp_build.py"))["ffibuilder"]
    library.emit_python_code(os.path.join(package, "seccomp", "_library.py"))
    schemas, target = os.path.join(HERE, "schemas"), os.path.join(package, "validate")
    subprocess.run([sys.executable, "-m", "pyoci.validate.generate", schemas, target], check=True, cwd=HERE)


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


COLD = ("boot", "__main__", "cli.generate", "cli.texts", "cli.help", "cli.validate")
COLD += ("validate.generate", "validate.catalog")


def freeze(package):
    """Writes start.pyc: boot.py with the code of the modules that commands load in it, so that one file is read."""
    import importlib.util
    import marshal

    modules = {}
    for directory, _, files in os.walk(package):
        for file in sorted(files):
            path = os.path.join(directory, file)
            name = os.path.relpath(path, package)[:-3].replace(os.sep, ".")
            if not file.endswith(".py") or name in COLD:
                continue
            is_package = file == "__init__.py"
            full = "pyoci" if name == "__init__" else "pyoci." + (name[: -len(".__init__")] if is_package else name)
            with open(path, "rb") as source_file:
                code = compile(source_file.read(), f"<pyoci>/{name}", "exec", optimize=2, dont_inherit=True)
            modules[full] = (is_package, marshal.dumps(code))
    with open(os.path.join(package, "boot.py")) as file:
        text = file.read()
    place = 'MODULES: "dict[str, tuple[bool, bytes]]" = {}'
    if text.count(place) != 1:
        sys.exit("pyoci: boot.py has no place for the modules")
    code = compile(text.replace(place, f"MODULES = {modules!r}"), "<pyoci>/boot", "exec", optimize=2, dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + bytes(12)
    write(os.path.join(package, "start.pyc"), head + marshal.dumps(code))


def build_init(package):
    compile_c(os.path.join(package, "init"), [source(name + ".c") for name in INIT], "-static", "-s")


def build_launcher(output, *flags):
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    os.makedirs(os.path.dirname(output), exist_ok=True)
    defines = [f'-DPYOCI_PYTHON="{interpreter}"', f'-DPYOCI_LIBRARY="{library}"', *flags]
    compile_c(output, [source("launcher.c")], "-static", "-s", *defines)


def in_tree():
    """The launcher of a checkout knows where the checkout is, and where the cffi is that it was built with."""
    return [f'-DPYOCI_IN_TREE="{HERE}"', f'-DPYOCI_PACKAGES="{sysconfig.get_path("platlib")}"']


class BuildPackage(build_py):
    """The Python files, then beside them what is generated and init."""

    def run(self):
        super().run()
        package = os.path.join(HERE if getattr(self, "editable_mode", False) else self.build_lib, "pyoci")
        check_static_libc()
        generate(package)
        build_init(package)
        freeze(package)


class BuildLauncher(build_scripts):
    """The launcher takes the place of a script: pip's own would start an interpreter open to its environment."""

    def run(self):
        editable = getattr(self.distribution.get_command_obj("build_py"), "editable_mode", False)
        check_static_libc()
        build_launcher(os.path.join(self.build_dir, "pyoci"), *(in_tree() if editable else []))

    def get_source_files(self):
        return ["csrc/launcher.c"]


class BuildNative(Command):
    """Everything into the checkout, for work on it."""

    user_options = [("in-tree", None, "build into the checkout")]
    boolean_options = ["in-tree"]

    def initialize_options(self):
        self.in_tree = False

    def finalize_options(self):
        pass

    def run(self):
        check_static_libc()
        generate(os.path.join(HERE, "pyoci"))
        build_init(os.path.join(HERE, "pyoci"))
        build_launcher(os.path.join(HERE, "build", "bin", "pyoci"), *in_tree())
        extensions = self.reinitialize_command("build_ext", inplace=1)
        extensions.ensure_finalized()
        extensions.run()
        compileall.compile_dir(os.path.join(HERE, "pyoci"), quiet=1)  # the launcher's interpreter writes no .pyc


setup(
    cffi_modules=["csrc/shim_build.py:ffibuilder"],
    scripts=["csrc/launcher.c"],  # a name is needed for build_scripts to run; it writes the program instead
    cmdclass={"build_py": BuildPackage, "build_scripts": BuildLauncher, "build_native": BuildNative},
)

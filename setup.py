"""Builds pyoci: the shim, the static init, the static launcher, the interpreter with pyoci's modules in it, and
the Python files generated from C and schemas.

`pip install .` makes a wheel of it all; `python setup.py build_native --in-tree` builds into the checkout, where
build/bin/pyoci then runs it from the sources. The steps are modules of csrc/build; docs/install.md says which variables
of the environment they heed.
"""

import os
import sys

from setuptools import setup

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from csrc.build.commands import COMMANDS, LAUNCHER, SHIM

setup(ext_modules=[SHIM], scripts=[LAUNCHER], cmdclass=COMMANDS)

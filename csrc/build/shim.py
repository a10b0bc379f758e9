"""pyoci._native: the functions of csrc/shim and cffi's way to them (its API mode). pyoci/_shim.py calls them."""

import os
import re

import cffi

from .compiler import source

MODULE = "pyoci._native"
# What Python reads of a hook; the rest is C's, which knows the size
HOOK = "struct hook_run { int status, ending; size_t output; char text[...]; ...; };"


def write_module(scratch: str) -> str:
    """Writes the module's C file into a directory; its path."""
    with open(source("shim/shim.h"), encoding="utf-8") as file:
        prototypes = re.sub(r"^#.*$", "", file.read(), flags=re.MULTILINE)
    ffi = cffi.FFI()
    ffi.cdef(HOOK + prototypes)
    ffi.set_source(MODULE, '#include "shim/shim.h"', compiler_verbose=0)
    path = os.path.join(scratch, "_native.c")
    os.makedirs(scratch, exist_ok=True)
    ffi.emit_c_code(path)
    return path

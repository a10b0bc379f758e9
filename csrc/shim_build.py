"""Builds pyoci._shim: cffi reads shim.h, the C compiler does the rest."""

import os

import cffi

HERE = os.path.dirname(os.path.abspath(__file__))


def declarations() -> str:
    """The part of shim.h between its two marks."""
    with open(os.path.join(HERE, "shim.h")) as file:
        text = file.read()
    return text.split("/* cffi: begin */")[1].split("/* cffi: end */")[0]


ffibuilder = cffi.FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "pyoci._shim",
    '#include "shim.h"',
    sources=["csrc/shim.c", "csrc/hook.c"],
    depends=["csrc/shim.h", "csrc/shared.h", "csrc/kernel.h", "csrc/hook.h"],  # else a changed header makes no new shim
    include_dirs=["csrc"],
    extra_compile_args=["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-pthread"],
    extra_link_args=["-pthread"],
)

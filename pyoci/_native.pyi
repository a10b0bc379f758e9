"""What cffi makes of csrc/shim/shim.h: pyoci/_shim.py is its one caller."""

from collections.abc import Callable
from typing import Any

class _Lib:
    def __getattr__(self, name: str) -> Callable[..., int]: ...

ffi: Any
lib: _Lib

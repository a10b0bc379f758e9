"""The small parsers (signals, lengths of time, sizes, CPU lists, mount options, --cgroup, slices, users): each gives a
value within its bounds, or an Error."""

import os
from collections.abc import Callable
from typing import Any

from pyoci.cgroups import subpath, tree
from pyoci.cgroups.systemd import manager
from pyoci.cli import duration, exec_process, kill, update
from pyoci.cli.call import absolute
from pyoci.cli.log import one_line
from pyoci.errors import Error
from pyoci.linux import number_list
from pyoci.linux.mount_options import Options
from pyoci.options import check_id
from pyoci.paths import clean
from pyoci.plan.intel_rdt import Wish


def _is_clean(path: str) -> bool:
    return path[0] == "/" and not {"", ".", ".."} & set(path[1:].split("/") if path != "/" else ())


def _cpus(text: str) -> bool:
    return number_list.parse(text, "x").bit_length() <= number_list.MOST


def _options(text: str) -> bool:
    made = Options(text.split(","), "x")
    return not (made.set & made.clear & 0xF) and all(0 <= part < 2**32 for part in (made.set, made.clear))


def _below(text: str) -> bool:
    return not {"", ".", ".."} & set(tree.components(text))


def _slice(text: str) -> bool:
    path = manager.expand(text)
    return path == "" or (path.endswith(f"/{text}") and ".." not in path.split("/"))


def _schemata(text: str) -> bool:
    return all("\n" not in line for _, line in Wish({"l3CacheSchema": text, "memBwSchema": text}, "c").lines)


_PARSERS: "list[Callable[[str], Any]]" = [
    lambda text: 0 <= kill.signal_number(text) <= 64,
    lambda text: duration.seconds(text) == -1.0 or 0 <= duration.seconds(text) < 2**34,
    lambda text: update.size(text, "--memory") >= -1,
    lambda text: type(update.number(text, "--cpu-quota")) is int,
    _cpus,
    _options,
    _below,
    _slice,
    _schemata,
    lambda text: _is_clean(clean("/" + text)),
    lambda text: _is_clean(absolute("/" + text)),
    lambda text: check_id(text) not in ("", ".", "..") and not {"/", "\n", "\0"} & set(text),
    lambda text: "\n" not in one_line(text) and "\x1b" not in one_line(text),
    lambda text: all(name == "" or name for name in subpath.parse(text.split(" "))),
    lambda text: 0 <= exec_process.number_of("uid", text) <= 2**32 - 2,
]
_WORDS = ["9", "SIGRTMIN+3", "1m30s", "512m", "-1", "0-3,7", "rro,rslave,size=5", "a/../b", "a-b.slice",
          "L3:0=f\nMB:0=10", "x//y/.", "..", "c1", "\x1b[31m\n", "cpu:/a", "1000:5"]  # fmt: skip


def seeds() -> "list[bytes]":
    """Each word for each parser."""
    return [bytes([number]) + word.encode() for number in range(len(_PARSERS)) for word in _WORDS]


def test(data: bytes) -> None:
    """The first byte says which."""
    if data:
        text = os.fsdecode(data[1:])
        try:
            assert _PARSERS[data[0] % len(_PARSERS)](text)
        except Error as refusal:
            assert str(refusal)

"""Lists of CPUs: the kernel's answer is ours."""

import os
from pathlib import Path

import pytest

from pyoci.errors import Error
from pyoci.linux.number_list import numbers, parse

LISTS = ["0-1", "0,,1", ",0", "", "0 1", "0-1:1/2", "1-0", "a", "0-", "-1", "0-99999", "0-1:2", "0-1:3/2", "0-1:1/0"]
LISTS += ["0:1/2", "0x1", "+1", "0 - 1", "²"]


@pytest.mark.root
@pytest.mark.cgroup_v1
@pytest.mark.parametrize("text", LISTS)
def test_the_kernel_gives_the_same_answer(text: str) -> None:
    """Asked of a cpuset that has all CPUs there are; of a list in bounds alone, for the machine's are few."""
    top = Path("/sys/fs/cgroup/cpuset")
    if not top.is_dir():
        pytest.skip("no hierarchy of cpuset is mounted")
    few = int((top / "cpuset.cpus").read_text().strip().rpartition("-")[2])
    place = top / f"pyoci-numbers-{os.getpid()}"
    place.mkdir()
    try:
        (place / "cpuset.cpus").write_text(text or "\n")
        taken = True
    except OSError:
        taken = False
    finally:
        place.rmdir()
    try:
        ours = all(number <= few for number in numbers(parse(text, "")))
    except Error:
        ours = False
    assert ours == taken

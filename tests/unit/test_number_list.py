"""Lists of CPUs and memory nodes: one parser, and everybody who reads such a list gives its answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoci.cgroups import stats
from pyoci.cgroups.compile import check_lists
from pyoci.cgroups.systemd.properties import bit_mask
from pyoci.errors import Error
from pyoci.linux.number_list import MOST, numbers, parse, ranges
from pyoci.plan.model import Plan
from pyoci.plan.process import affinity
from pyoci.validate.musts_rare import number_list

GOOD = {
    "0-2,5\n": [0, 1, 2, 5],
    "1,,2": [1, 2],
    ",3": [3],
    "": [],
    "0,,1,": [0, 1],
    "7 9": [7, 9],
    "0-7:2/4": [0, 1, 4, 5],
    "0-8:1/4": [0, 4, 8],
    "4,1-2": [1, 2, 4],
}
BAD = ["3-1", "a", "1-", "-1", "1-99999999", "0-99999", "٣", "²", "0-²", "9" * 5000, "0-" + "9" * 5000, "1 - 3"]
BAD += ["0-7:2", "0-7:5/4", "0-7:1/0", "3:1/2", "0x1", "+1", "all"]


@pytest.mark.parametrize("text", GOOD)
def test_a_list(text: str) -> None:
    assert numbers(parse(text, "here")) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(Error, match=r"^here: (not a list of|no such range of) CPUs"):
        parse(text, "here", "CPUs")


def answers(text: str) -> "dict[str, bool]":
    """Whether each reader takes a list."""

    def validated() -> None:
        found: "list[Any]" = []
        number_list(text, (), found)
        assert not found

    machine = f"0-{MOST - 1}"
    readers = {
        "validate": validated,
        "affinity": lambda: affinity(Plan(), text, "here"),
        "limits": lambda: check_lists({"cpu": {"cpus": text}}, "here", machine, machine),
        "systemd": lambda: bit_mask(text, "here"),
        "statistics": lambda: stats.numbers_in(text),
    }
    found = {}
    for name, read in readers.items():
        try:
            read()
            found[name] = True
        except AssertionError:
            found[name] = False
        except Error as problem:
            found[name] = problem.kind == "missing"  # a list, but of what the host has not
    return found


@given(st.one_of(st.sampled_from([*GOOD, *BAD]), st.text("0123-,: /\na", max_size=12)))
def test_all_readers_give_one_answer(text: str) -> None:
    assert len(set(answers(text).values())) == 1, answers(text)


@given(st.sets(st.integers(0, 200)))
def test_there_and_back(wanted: "set[int]") -> None:
    bits = sum(1 << number for number in wanted)
    assert parse(ranges(bits), "") == bits and numbers(bits) == sorted(wanted)

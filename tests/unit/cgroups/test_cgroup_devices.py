"""Device rules: their meaning is the same as text, reduced, as an eBPF program, and as the v1 controller's state."""

import pytest
from device_model import allowed, interpret, state_allows
from hypothesis import given, settings
from hypothesis import strategies as st

from pyoci.cgroups import bpf, devices
from pyoci.errors import Error

numbers = st.sampled_from([-1, 1, 2, 3])
rule = st.builds(devices.Rule, st.booleans(), st.sampled_from("abc"), numbers, numbers, st.integers(1, 7))
rules = st.lists(rule, max_size=8)
request = st.tuples(
    st.sampled_from("bc"), st.sampled_from([1, 2, 3, 9]), st.sampled_from([1, 2, 3, 9]), st.integers(1, 7)
)
KERNEL_ACCESS = {4: 1, 1: 2, 2: 4}  # ours: r 1, w 2, m 4; the program's context: m 1, r 2, w 4


def kernel_access(access):
    return sum(KERNEL_ACCESS[bit] for bit in (1, 2, 4) if access & bit)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules, request)
def test_the_program_answers_as_the_rules_say(some, asked):
    kind, major, minor, access = asked
    code = bpf.program(some)
    answer = interpret(code, {"b": 1, "c": 2}[kind], kernel_access(access), major, minor)
    assert answer == allowed(some, kind, major, minor, access)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules, request)
def test_reducing_keeps_the_meaning(some, asked):
    assert allowed(devices.reduce(some), *asked) == allowed(some, *asked)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules, request)
def test_v1_means_the_same_or_refuses(some, asked):
    """An access of several bits may hang on two exceptions, which v1 does not add up: single bits are compared."""
    kind, major, minor, access = asked
    try:
        state = devices.state_of(some)
    except Error:
        return
    for bit in (1, 2, 4):
        if access & bit:
            assert state_allows(state, kind, major, minor, bit) == allowed(some, kind, major, minor, bit)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules)
def test_the_default_devices_come_after_the_rules(some):
    def state(make):
        try:
            found = make()
        except Error as error:
            return str(error)
        return found.allow, found.exceptions

    expected = state(lambda: devices.state_of(some + devices.default_rules()))
    assert state(lambda: devices.state_with_defaults(some)) == expected


class Kernel:
    """The v1 controller, as far as devices.allow and devices.deny of whole exceptions go."""

    def __init__(self, state):
        self.allow, self.exceptions = state.allow, dict(state.exceptions)

    def write(self, file, value):
        allow = file == "devices.allow"
        if value == "a":
            self.allow, self.exceptions = allow, {}
            return
        kind, numbers_, letters = value.split()
        major, minor = (-1 if number == "*" else int(number) for number in numbers_.split(":"))
        bits = sum({"r": 1, "w": 2, "m": 4}[letter] for letter in letters)
        key = kind, major, minor
        left = self.exceptions.get(key, 0) & ~bits if allow == self.allow else self.exceptions.get(key, 0) | bits
        self.exceptions.pop(key, None)
        if left:
            self.exceptions[key] = left


def state_or_none(some):
    try:
        return devices.state_of(some)
    except Error:
        return None


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules.map(state_or_none), rules.map(state_or_none))
def test_a_transition_ends_where_it_should(now, wanted):
    if now is None or wanted is None:
        return
    kernel = Kernel(now)
    for file, value in devices.transition(now, wanted):
        kernel.write(file, value)
    assert (kernel.allow, kernel.exceptions) == (wanted.allow, wanted.exceptions)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(rules.map(state_or_none), rules.map(state_or_none))
def test_a_device_in_both_lists_is_never_lost_in_between(now, wanted):
    if now is None or wanted is None or now.allow or wanted.allow:
        return
    kernel = Kernel(now)
    both = {key: bits & wanted.exceptions.get(key, 0) for key, bits in now.exceptions.items()}
    for file, value in devices.transition(now, wanted):
        kernel.write(file, value)
        assert all(bits & ~kernel.exceptions.get(key, 0) == 0 for key, bits in both.items())


def test_default_devices_stay_usable_under_the_template_of_spec():
    some = devices.parse({"devices": [{"allow": False, "access": "rwm"}]}, "x") + devices.default_rules()
    for minor in (3, 5, 7, 8, 9):
        assert allowed(some, "c", 1, minor, 7)
    assert allowed(some, "c", 5, 0, 7)
    assert allowed(some, "c", 136, 77, 7)
    assert allowed(some, "b", 8, 0, devices.MKNOD)
    assert not allowed(some, "b", 8, 0, devices.READ)
    assert not allowed(some, "c", 1, 1, devices.READ)


def test_parse_reads_absent_numbers_as_any_and_u_as_c():
    parsed = devices.parse({"devices": [{"allow": True, "type": "u", "major": 10, "access": "mr"}]}, "linux.resources")
    assert [r.text() for r in parsed] == ["c 10:* rm"]
    assert parsed[0].location == "linux.resources.devices[0]"


def test_v1_refuses_a_hole_in_a_wildcard():
    some = devices.parse(
        {
            "devices": [
                {"allow": True, "type": "c", "major": 1, "access": "rw"},
                {"allow": False, "type": "c", "major": 1, "minor": 5, "access": "w"},
            ]
        },
        "linux.resources",
    )
    with pytest.raises(Error, match="back out of the wider 'c 1:\\* rw'") as caught:
        devices.state_of(some)
    assert caught.value.location == "linux.resources.devices[1]"


def test_the_kernels_list_is_read_back():
    state = devices.state_from_list("c *:* m\nb 8:16 rw\n")
    assert (state.allow, state.exceptions) == (False, {("c", -1, -1): 4, ("b", 8, 16): 3})
    assert devices.state_from_list("a *:* rwm\n").allow


def test_a_rule_for_everything_needs_no_device_control():
    everything = devices.parse({"devices": [{"allow": True, "access": "rwm"}]}, "x")
    assert devices.allows_everything(everything + devices.default_rules())
    assert not devices.allows_everything(devices.default_rules())
    assert not devices.allows_everything([*everything, devices.Rule(False, "c", 1, 1, 1)])

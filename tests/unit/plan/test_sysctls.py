"""Sysctls: validate and create give one answer, whatever the name and the namespaces."""

from hypothesis import given
from hypothesis import strategies as st
from plan_samples import compiled, small

from pyoci.errors import Error
from pyoci.linux.names import NAMESPACES
from pyoci.validate.musts_linux import sysctl_problem

PARTS = (
    "fs",
    "mqueue",
    "kernel",
    "sem",
    "shm_rmid_forced",
    "net",
    "ipv4",
    "user",
    "domainname",
    "hostname",
    "vm",
    "",
    "..",
)
KEYS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from([".".join(parts), "/".join(parts)])
)


@given(KEYS, st.sets(st.sampled_from([kind for kind in NAMESPACES if kind not in ("user", "time")])))
def test_validate_and_create_agree(key: str, kinds: "set[str]") -> None:
    spaces = {kind: {"type": kind} for kind in {*kinds, "mount", "pid"}}
    try:
        compiled(small(linux={"namespaces": list(spaces.values()), "sysctl": {key: "1"}}))
        planned = True
    except Error as problem:
        assert "sysctl" in str(problem)
        planned = False
    assert planned == (sysctl_problem(key, spaces) is None)

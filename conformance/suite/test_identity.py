"""hostname, domainname."""

import pytest

from conformance.case import Case


@pytest.mark.judges("config.hostname")
def test_hostname(case: Case) -> None:
    seen = case.observe(case.config(hostname="seen-inside"))
    case.equal("config.hostname", "hostname", "seen-inside", seen["hostname"])


@pytest.mark.judges("config.domainname")
def test_domainname(case: Case) -> None:
    seen = case.observe(case.config(domainname="inside.test"))
    case.equal("config.domainname", "domainname", "inside.test", seen["domainname"])

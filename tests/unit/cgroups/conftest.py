import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_cgroups import FakeHost


@pytest.fixture
def host(tmp_path):
    """Makes a fake machine: host(1), host(2), host(12, own="/user")."""
    return lambda version, **options: FakeHost(str(tmp_path), version, **options)

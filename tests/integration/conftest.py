"""Tests that run real containers. They need root, and count what each test leaves on the host."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import fixtures

box, template = fixtures.box, fixtures.template  # pytest finds them here

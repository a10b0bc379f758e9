"""Tests that run real containers. They need root, and count what each test leaves on the host."""

from tests.support import fixtures

box, template = fixtures.box, fixtures.template  # pytest finds them here

"""Tests that run real containers. They need root, and count what each test leaves on the host."""

import signal

from tests.support import fixtures

box, template = fixtures.box, fixtures.template  # pytest finds them here

# A shell that starts the tests in the background has them, and all that they start, ignore the interrupt key
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

"""A test suite for OCI runtimes: what the runtime specification asks of a Linux runtime, judged from outside."""

SPEC_VERSION = "1.3.0"

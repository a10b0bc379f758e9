"""Untrusted programs in a container made for them: `pyoci.run` and `pyoci.Sandbox` (docs/sandbox.md).

wishes   what a caller asks for, read and checked
profile  the seccomp profile
place    where sandboxes keep their files, and root filesystems made of the host's
config   wishes → config.json
sandbox  one that lives
run      one that runs one program
"""

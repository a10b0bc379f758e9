"""What is used where vulture cannot see it (dead_code.py): each name, and who uses it."""
# ruff: noqa: B018, F821
# mypy: ignore-errors

# Python, and what starts it
__getattr__
_.__package__
_.__path__
_._initializing
_.returns

# setuptools
_.get_tag

# CRIU reads these fields of a message
_.images_dir_fd
_.work_dir_fd
_.log_file
_.freeze_cgroup
_.leave_running
_.link_remap
_.tcp_skip_in_flight
_.track_mem
_.parent_img
_.type_name
_.manage_cgroups
_.rst_sibling

# One of several names for numbers
CREATED
CONTAINER
OTHER

# setuptools
get_source_files
_.include_dirs
_.extra_compile_args
user_options
boolean_options
initialize_options
finalize_options
SHIM

# Our own interpreter, where it starts
_._IOBase
_._native
_._lock_unlock_module
__dir__

# Of the API, as subprocess has it
_.terminate

# Of the standard library
_.tempdir

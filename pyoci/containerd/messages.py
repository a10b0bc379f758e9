"""The messages that containerd and its shims exchange, as tables of the codec (numbers: containerd's api/*.proto)."""

from pyoci.containerd.codec import BOOL, BYTES, MANY, MAP, MESSAGE, TEXT, UINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.containerd.codec import Message, Table

EMPTY: "Table" = {}
ANY: "Table" = {1: ("type_url", TEXT, None), 2: ("value", BYTES, None)}
TIME: "Table" = {1: ("seconds", UINT, None), 2: ("nanos", UINT, None)}
MOUNT: "Table" = {
    1: ("type", TEXT, None),
    2: ("source", TEXT, None),
    3: ("target", TEXT, None),
    4: ("options", TEXT | MANY, None),
}

# ttrpc
REQUEST: "Table" = {
    1: ("service", TEXT, None),
    2: ("method", TEXT, None),
    3: ("payload", BYTES, None),
    4: ("timeout_nano", UINT, None),
}
STATUS: "Table" = {1: ("code", UINT, None), 2: ("message", TEXT, None)}
RESPONSE: "Table" = {1: ("status", MESSAGE, STATUS), 2: ("payload", BYTES, None)}

# The task service, versions 2 and 3
ID: "Table" = {1: ("id", TEXT, None)}
PROCESS: "Table" = {1: ("id", TEXT, None), 2: ("exec_id", TEXT, None)}
PID: "Table" = {1: ("pid", UINT, None)}
CREATE: "Table" = {
    1: ("id", TEXT, None),
    2: ("bundle", TEXT, None),
    3: ("rootfs", MESSAGE | MANY, MOUNT),
    4: ("terminal", BOOL, None),
    5: ("stdin", TEXT, None),
    6: ("stdout", TEXT, None),
    7: ("stderr", TEXT, None),
    8: ("checkpoint", TEXT, None),
    9: ("parent_checkpoint", TEXT, None),
    10: ("options", MESSAGE, ANY),
}
DELETED: "Table" = {1: ("pid", UINT, None), 2: ("exit_status", UINT, None), 3: ("exited_at", MESSAGE, TIME)}
EXEC: "Table" = {
    1: ("id", TEXT, None),
    2: ("exec_id", TEXT, None),
    3: ("terminal", BOOL, None),
    4: ("stdin", TEXT, None),
    5: ("stdout", TEXT, None),
    6: ("stderr", TEXT, None),
    7: ("spec", MESSAGE, ANY),
}
RESIZE: "Table" = {**PROCESS, 3: ("width", UINT, None), 4: ("height", UINT, None)}
STATE: "Table" = {
    1: ("id", TEXT, None),
    2: ("bundle", TEXT, None),
    3: ("pid", UINT, None),
    4: ("status", UINT, None),
    5: ("stdin", TEXT, None),
    6: ("stdout", TEXT, None),
    7: ("stderr", TEXT, None),
    8: ("terminal", BOOL, None),
    9: ("exit_status", UINT, None),
    10: ("exited_at", MESSAGE, TIME),
    11: ("exec_id", TEXT, None),
}
KILL: "Table" = {**PROCESS, 3: ("signal", UINT, None), 4: ("all", BOOL, None)}
CLOSE: "Table" = {**PROCESS, 3: ("stdin", BOOL, None)}
PROCESS_INFO: "Table" = {1: ("pid", UINT, None), 2: ("info", MESSAGE, ANY)}
PIDS: "Table" = {1: ("processes", MESSAGE | MANY, PROCESS_INFO)}
CHECKPOINT: "Table" = {1: ("id", TEXT, None), 2: ("path", TEXT, None), 3: ("options", MESSAGE, ANY)}
UPDATE: "Table" = {1: ("id", TEXT, None), 2: ("resources", MESSAGE, ANY), 3: ("annotations", MAP, None)}
WAITED: "Table" = {1: ("exit_status", UINT, None), 2: ("exited_at", MESSAGE, TIME)}
STATS: "Table" = {1: ("stats", MESSAGE, ANY)}
CONNECTED: "Table" = {1: ("shim_pid", UINT, None), 2: ("task_pid", UINT, None), 3: ("version", TEXT, None)}
SHUTDOWN: "Table" = {1: ("id", TEXT, None), 2: ("now", BOOL, None)}
PROCESS_DETAILS: "Table" = {1: ("exec_id", TEXT, None)}

# Options of containerd.runc.v1
OPTIONS: "Table" = {
    1: ("no_pivot_root", BOOL, None),
    2: ("no_new_keyring", BOOL, None),
    3: ("shim_cgroup", TEXT, None),
    4: ("io_uid", UINT, None),
    5: ("io_gid", UINT, None),
    6: ("binary_name", TEXT, None),
    7: ("root", TEXT, None),
    8: ("criu_path", TEXT, None),
    9: ("systemd_cgroup", BOOL, None),
    10: ("criu_image_path", TEXT, None),
    11: ("criu_work_path", TEXT, None),
}
# What containerd 1.6's client has for older shims, and sends to all that it does not know: the same with other numbers
OLD_OPTIONS: "Table" = {
    1: ("no_pivot_root", BOOL, None),
    8: ("no_new_keyring", BOOL, None),
    9: ("shim_cgroup", TEXT, None),
    10: ("io_uid", UINT, None),
    11: ("io_gid", UINT, None),
    12: ("criu_work_path", TEXT, None),
    13: ("criu_image_path", TEXT, None),
}
CHECKPOINT_OPTIONS: "Table" = {
    1: ("exit", BOOL, None),
    2: ("open_tcp", BOOL, None),
    3: ("external_unix_sockets", BOOL, None),
    4: ("terminal", BOOL, None),
    5: ("file_locks", BOOL, None),
    6: ("empty_namespaces", TEXT | MANY, None),
    7: ("cgroups_mode", TEXT, None),
    8: ("image_path", TEXT, None),
    9: ("work_path", TEXT, None),
}

# The start of a shim, from containerd 2.3 on
EXTENSION: "Table" = {1: ("value", MESSAGE, ANY)}
BOOTSTRAP: "Table" = {
    1: ("instance_id", TEXT, None),
    2: ("namespace", TEXT, None),
    3: ("log_level", UINT, None),
    4: ("containerd_version", TEXT, None),
    5: ("containerd_ttrpc_address", TEXT, None),
    6: ("containerd_grpc_address", TEXT, None),
    7: ("containerd_binary", TEXT, None),
    8: ("extensions", MESSAGE | MANY, EXTENSION),
}
BOOTSTRAPPED: "Table" = {1: ("version", UINT, None), 2: ("address", TEXT, None), 3: ("protocol", TEXT, None)}

# -info
RUNTIME_REQUEST: "Table" = {1: ("runtime_path", TEXT, None), 2: ("options", MESSAGE, ANY)}
RUNTIME_VERSION: "Table" = {1: ("version", TEXT, None), 2: ("revision", TEXT, None)}
RUNTIME_INFO: "Table" = {
    1: ("name", TEXT, None),
    2: ("version", MESSAGE, RUNTIME_VERSION),
    3: ("options", MESSAGE, ANY),
    4: ("features", MESSAGE, ANY),
    5: ("annotations", MAP, None),
}

# Our own service, for `pyoci shim list`
SHIM_STATUS: "Table" = {
    1: ("namespace", TEXT, None),
    2: ("containers", MESSAGE | MANY, {1: ("id", TEXT, None), 2: ("status", UINT, None), 3: ("execs", UINT, None)}),
    # nanoseconds since it came
    3: (
        "requests",
        MESSAGE | MANY,
        {1: ("method", TEXT, None), 2: ("id", TEXT, None), 3: ("exec_id", TEXT, None), 4: ("age", UINT, None)},
    ),
    4: ("events", UINT, None),  # that containerd has not heard yet
}

# Events
ENVELOPE: "Table" = {
    1: ("timestamp", MESSAGE, TIME),
    2: ("namespace", TEXT, None),
    3: ("topic", TEXT, None),
    4: ("event", MESSAGE, ANY),
}
FORWARD: "Table" = {1: ("envelope", MESSAGE, ENVELOPE)}
TASK_IO: "Table" = {
    1: ("stdin", TEXT, None),
    2: ("stdout", TEXT, None),
    3: ("stderr", TEXT, None),
    4: ("terminal", BOOL, None),
}
_CONTAINER: "Table" = {1: ("container_id", TEXT, None)}
# By topic: the type's name, and its table
EVENTS: "dict[str, tuple[str, Table]]" = {
    "/tasks/create": (
        "TaskCreate",
        {
            **_CONTAINER,
            2: ("bundle", TEXT, None),
            3: ("rootfs", MESSAGE | MANY, MOUNT),
            4: ("io", MESSAGE, TASK_IO),
            5: ("checkpoint", TEXT, None),
            6: ("pid", UINT, None),
        },
    ),
    "/tasks/start": ("TaskStart", {**_CONTAINER, 2: ("pid", UINT, None)}),
    "/tasks/exit": (
        "TaskExit",
        {
            **_CONTAINER,
            2: ("id", TEXT, None),
            3: ("pid", UINT, None),
            4: ("exit_status", UINT, None),
            5: ("exited_at", MESSAGE, TIME),
        },
    ),
    "/tasks/delete": (
        "TaskDelete",
        {
            **_CONTAINER,
            2: ("pid", UINT, None),
            3: ("exit_status", UINT, None),
            4: ("exited_at", MESSAGE, TIME),
            5: ("id", TEXT, None),
        },
    ),
    "/tasks/exec-added": ("TaskExecAdded", {**_CONTAINER, 2: ("exec_id", TEXT, None)}),
    "/tasks/exec-started": (
        "TaskExecStarted",
        {**_CONTAINER, 2: ("exec_id", TEXT, None), 3: ("pid", UINT, None)},
    ),
    "/tasks/oom": ("TaskOOM", _CONTAINER),
    "/tasks/paused": ("TaskPaused", _CONTAINER),
    "/tasks/resumed": ("TaskResumed", _CONTAINER),
    "/tasks/checkpointed": ("TaskCheckpointed", {**_CONTAINER, 2: ("checkpoint", TEXT, None)}),
}


def timestamp(nanoseconds: int) -> "Message":
    """A time since 1970 as a message."""
    seconds, nanos = divmod(nanoseconds, 10**9)
    return {"seconds": seconds, "nanos": nanos}

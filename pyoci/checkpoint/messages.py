"""The messages of CRIU's RPC (https://criu.org/RPC), as far as they are needed: names, numbers and types of fields.

Built when the module is loaded, so that any version of the protobuf library will do. Enumerations are plain numbers.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

DUMP, RESTORE, PRE_DUMP, NOTIFY, VERSION = 1, 2, 4, 6, 10
_INT32, _UINT32, _BOOL, _STRING, _MESSAGE = 5, 13, 8, 9, 11
_KINDS = {"int": _INT32, "uint": _UINT32, "bool": _BOOL, "text": _STRING}

# message: its fields, each NUMBER name:kind; a kind in capitals is a message, * is many of them
_MESSAGES = {
    "PageServer": "1 address:text  2 port:int",
    "Pair": "1 key:text  2 val:text",
    "Inherited": "1 key:text  2 fd:int",
    "Group": "1 ctrl:text  2 path:text",
    "Options": """1 images_dir_fd:int  2 pid:int  3 leave_running:bool  4 ext_unix_sk:bool  5 tcp_established:bool
        7 shell_job:bool  8 file_locks:bool  9 log_level:int  10 log_file:text  11 ps:PageServer  12 notify_scripts:bool
        13 root:text  14 parent_img:text  15 track_mem:bool  16 auto_dedup:bool  17 work_dir_fd:int  18 link_remap:bool
        23 ext_mnt:*Pair  24 manage_cgroups:bool  25 cg_root:*Group  26 rst_sibling:bool  27 inherit_fd:*Inherited
        34 manage_cgroups_mode:int  37 external:*text  38 empty_ns:uint  43 cgroup_dump_controller:*text
        44 freeze_cgroup:text  46 tcp_skip_in_flight:bool  48 lazy_pages:bool  49 status_fd:int
        50 orphan_pts_master:bool  51 config_file:text  53 lsm_profile:text  63 lsm_mount_context:text""",
    "Notification": "1 script:text  2 pid:int",
    "Restored": "1 pid:int",
    "CriuVersion": "1 major_number:int  2 minor_number:int  4 sublevel:int",
    "Request": "1 type:int  2 opts:Options  3 notify_success:bool  4 keep_open:bool",
    "Response": """1 type:int  2 success:bool  4 restore:Restored  5 notify:Notification  7 cr_errno:int
        9 cr_errmsg:text  10 version:CriuVersion""",
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="pyoci/criu.proto", package="pyoci.criu", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        words = fields.split()
        for number, word in zip(words[::2], words[1::2]):
            label, _, kind = word.partition(":")
            many = kind.startswith("*")
            kind = kind.lstrip("*")
            field = message.field.add(name=label, number=int(number), label=3 if many else 1)
            field.type = _KINDS.get(kind, _MESSAGE)
            if kind not in _KINDS:
                field.type_name = f".pyoci.criu.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {}
    for name in _MESSAGES:
        descriptor = pool.FindMessageTypeByName(f"pyoci.criu.{name}")
        if hasattr(message_factory, "GetMessageClass"):
            found[name] = message_factory.GetMessageClass(descriptor)
        else:  # before protobuf 4.22
            found[name] = message_factory.MessageFactory(pool).GetPrototype(descriptor)
    return found


_CLASSES = _build()
Options, Request, Response = _CLASSES["Options"], _CLASSES["Request"], _CLASSES["Response"]

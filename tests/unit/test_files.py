"""What a caller gets beside the exit status: the pid file is never seen empty, or half."""

import ctypes
import os
import struct
from pathlib import Path

import pytest

from pyoci.container.files import write_pid_file
from pyoci.errors import Error

IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100


class Watch:
    """Everything that happens to a directory's entries from now on, as inotify(7) tells it."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watching = libc.inotify_add_watch(self.fd, os.fsencode(directory), IN_MODIFY | IN_MOVED_TO | IN_CREATE)
        assert self.fd >= 0 and watching >= 0, os.strerror(ctypes.get_errno())

    def of(self, name: str) -> "list[int]":
        """The events of one name, in their order."""
        data, found = os.read(self.fd, 65536), []
        os.close(self.fd)
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            if data[16 : 16 + length].rstrip(b"\0") == name.encode():
                found.append(mask)
            data = data[16 + length :]
        return found


@pytest.mark.parametrize("before", [None, "123456"])
def test_the_pid_file_appears_whole(tmp_path: Path, before: "str | None") -> None:
    """A caller that waits for the name by inotify, as conmon does, reads it at once."""
    path = tmp_path / "pid"
    if before:
        path.write_text(before)
    watch = Watch(tmp_path)
    write_pid_file(str(path), 42)
    assert watch.of("pid") == [IN_MOVED_TO]
    assert path.read_text() == "42"
    assert os.listdir(tmp_path) == ["pid"]


def test_a_link_of_the_scratch_files_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".pid").symlink_to(tmp_path / "victim")
    with pytest.raises(Error) as caught:
        write_pid_file(str(tmp_path / "pid"), 42)
    assert caught.value.location == "--pid-file"
    assert sorted(os.listdir(tmp_path)) == [".pid"]

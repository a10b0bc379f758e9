"""The bundle of a sandbox, written out: to look at, to keep, for another runtime."""

import json
import os

from pyoci.errors import Error
from pyoci.sandbox.config import config
from pyoci.sandbox.place import fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.sandbox.wishes import Wishes


def write_bundle(directory: str, wishes: "Wishes", args: "list[str]") -> None:
    """Makes DIR with config.json, and with a rootfs where the sandbox's is made of the host's system.

    The first process of such a container is the program itself. Errors: Error when something is there already.
    """
    document = config(wishes, wishes.rootfs or "rootfs", args, "")
    document["linux"].pop("cgroupsPath", None)
    try:
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/config.json", "x", encoding="utf-8") as file:
            json.dump(document, file, indent=4)
            file.write("\n")
        if wishes.rootfs is None:
            os.mkdir(f"{directory}/rootfs", 0o755)
            os.chmod(f"{directory}/rootfs", 0o755)
            fill(f"{directory}/rootfs", wishes)
    except OSError as problem:
        raise Error(f"write {problem.filename or directory}", location="--bundle", errno=problem.errno or 0) from None

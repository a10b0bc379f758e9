"""A bundle's config.json: found, read, checked."""

import posix

import pyoci
from pyoci.errors import Error
from pyoci.fileio import read_all
from pyoci.host import Host
from pyoci.json.document import MAX_BYTES, parse
from pyoci.validate import check_runnable_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_bundle(bundle: str) -> "tuple[bytes, dict[str, Any]]":
    """config.json of a bundle, as it is (but without nulls, and with zeros that may be absent) and as plain JSON that
    follows the spec.

    Errors: Error when it is missing, is no JSON, or breaks a rule; `process` must be there, since runc and its callers
    have no create without it.
    """
    pyoci.mark("load")
    return parse_config(_read(f"{bundle}/config.json", bundle))


def parse_config(data: bytes) -> "tuple[bytes, dict[str, Any]]":
    """The same of its text."""
    config = parse(data, name="config.json")
    pyoci.mark("check")
    changed = check_runnable_config(config, raw=data)
    if type(config) is not dict:
        raise Error("config.json is not an object", kind="refused")
    if changed:
        from pyoci.json.document import dump

        data = dump(config).encode()  # what later commands read need not be asked again
    return data, config


def _read(path: str, bundle: str) -> bytes:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except FileNotFoundError:
        if not Host().exists(bundle):
            raise Error(
                f"the bundle {bundle} does not exist", hint="--bundle names its directory", kind="refused"
            ) from None
        hint = "`pyoci spec` writes one"
        raise Error(f"JSON specification file config.json not found in {bundle}", hint=hint, kind="refused") from None
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None
    try:
        data = read_all(fd, MAX_BYTES + 1)
    except OSError as problem:
        raise Error(f"read {path}", errno=problem.errno or 0) from None
    finally:
        posix.close(fd)
    if len(data) > MAX_BYTES:
        raise Error(f"{path} is larger than {MAX_BYTES >> 20} MiB", kind="refused")
    return data

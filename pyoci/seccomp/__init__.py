"""linux.seccomp → the program that the kernel runs on every system call: out of the cache, or compiled.

libseccomp is loaded only when a profile is met for the first time.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def program(profile: "dict[str, Any]", root: str, later: "list[Callable[[], object]]") -> bytes:
    """The filter of a profile as an array of struct sock_filter.

    profile: linux.seccomp, checked
    root:    the state root, which holds the cache; "" for none
    later:   gets what is to be called once that root has been made, where there is none yet
    Errors: Error when libseccomp is missing, or cannot do what the profile asks.
    """
    if not root:
        from pyoci.seccomp.compiler import compile_profile

        return compile_profile(profile).program
    from pyoci.seccomp.cache import Cache

    cache = Cache(root)
    key = cache.key(profile)
    found = cache.read(key)
    if found is not None:
        return found
    from pyoci.seccomp.compiler import compile_profile

    compiled = compile_profile(profile)
    if not cache.write(key, compiled.library, compiled.program):
        later.append(lambda: cache.write(key, compiled.library, compiled.program))
    return compiled.program

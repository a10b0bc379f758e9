"""A Python program with the runtime in it, for in_process.py: makes a container for each line of input.

Usage: service.py STATE-ROOT BUNDLE, with the Python that pyoci was installed with. Each line is a container's id;
answered is how many seconds create, start and delete took together. The wait for the program's end does not count.
"""

import os
import select
import sys
import time

import pyoci


def life(runtime: pyoci.Runtime, bundle: str, name: str) -> float:
    """Seconds of one container's create, start and delete."""
    begin = time.perf_counter()
    runtime.create(name, pyoci.CreateOptions(bundle, detach=True))
    took = time.perf_counter() - begin
    pidfd = os.pidfd_open(runtime.state(name)["pid"])
    begin = time.perf_counter()
    runtime.start(name)
    took += time.perf_counter() - begin
    select.select([pidfd], [], [])
    os.close(pidfd)
    begin = time.perf_counter()
    runtime.delete(name)
    return took + time.perf_counter() - begin


def main(root: str, bundle: str) -> None:
    """Serves until the input ends."""
    runtime = pyoci.Runtime(root)
    for line in sys.stdin:
        print(life(runtime, bundle, line.strip()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A Python program that runs things in sandboxes, for sandbox.py: `true` for each line of input.

Answered is how many seconds it took, from the call to the sandbox's removal.
"""

import sys
import time

import pyoci


def main() -> None:
    """Serves until the input ends."""
    for _ in sys.stdin:
        begin = time.perf_counter()
        done = pyoci.run(["true"])
        took = time.perf_counter() - begin
        if done.returncode:
            raise SystemExit(f"it failed: {done}")
        print(took, flush=True)


if __name__ == "__main__":
    main()

"""What the launcher of a checkout starts: puts the package on the path and runs the command (see boot.py)."""

import sys


def _main() -> None:
    own = __file__[: -len("/pyoci/__main__.py")]
    sys.path.append(own)
    from pyoci import boot

    sys.path[-1:] = boot.library_paths(own)
    if "packages" in sys._xoptions:  # where the checkout's launcher was built, cffi was there
        sys.path.insert(-1, str(sys._xoptions["packages"]))
    boot.run()


_main()

"""Runs one of the Python targets under atheris: `drive.py TARGET [LIBFUZZER-OPTION...]`, with --seeds DIRECTORY only
writes what the target starts from. A target is a module with `seeds()`, `test(data)`, and perhaps `JSON = True`."""

import importlib
import os
import sys
import traceback
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
UNIT = HERE.parent / "unit"
sys.path[:0] = [str(path) for path in (HERE.parents[1], HERE, UNIT / "seccomp", UNIT / "cgroups")]


def _mutate(data: bytes, most: int, seed: int) -> bytes:
    import shape

    changed = shape.mutate(data, most, seed)
    result: bytes = atheris.Mutate(data, most) if changed is None else changed
    return result


def main() -> None:
    """Never returns unless for --seeds: libFuzzer ends the process."""
    name = f"fuzz_{sys.argv[1]}"
    if sys.argv[2:3] == ["--seeds"]:
        for number, seed in enumerate(importlib.import_module(name).seeds()):
            Path(sys.argv[3], f"seed-{number:03}").write_bytes(seed)
        return
    hook = atheris.instrument_imports(include=["pyoci"])
    hook.__enter__()  # for good: what functions import is wanted, too
    target = importlib.import_module(name)
    options = {"custom_mutator": _mutate} if getattr(target, "JSON", False) else {}
    try:
        atheris.Setup([sys.argv[0], *sys.argv[2:]], target.test, **options)
        atheris.Fuzz()
    except Exception:  # of the mutator: at an ordinary exit atheris would wait for ever for a lock that it holds
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()

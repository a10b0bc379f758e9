"""What a type checker knows of the public face: documents are typed dictionaries, and JSON as they are."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pyoci.documents import results

TREE = Path(__file__).parents[2]

PROGRAM = """
import json
import pyoci

runtime = pyoci.Runtime("/run/x")
state = runtime.state("c")
stats = runtime.stats("c")
reveal_type(state["status"])
reveal_type(state.get("annotations"))
reveal_type(stats["memory"]["usage"]["limit"])
reveal_type(stats["cpu"]["usage"])
reveal_type(runtime.list()[0][0]["pid"])
json.dumps(state), json.dumps(stats)
state["statsu"]
stats["memory"]["used"]
"""
REVEALED = [
    "Literal['creating'] | Literal['created'] | Literal['running'] | Literal['stopped'] | Literal['paused']",
    "dict[str, str] | None",
    "int",
    "pyoci.documents.results.CpuUsage",
    "int",
]


def test_what_mypy_reveals(tmp_path: Path) -> None:
    """Union[…] and TypedDict(…) are the words of other versions of mypy for the same."""
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--config-file=",
        str(tmp_path / "program.py"),
    ]
    if subprocess.run([*words[:3], "--version"], capture_output=True, check=False).returncode:
        pytest.skip("mypy is not installed")
    said = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=False).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', said)
    assert [text.replace("builtins.", "") for text in revealed[:3] + revealed[4:]] == REVEALED[:3] + REVEALED[4:]
    assert "CpuUsage" in revealed[3] or "percpu_kernel" in revealed[3]
    errors = re.findall(r"program\.py:\d+: error: (.*?)  \[", said)
    assert len(errors) == 2 and '"statsu"' in errors[0] and '"used"' in errors[1], said


def test_the_types_are_public_and_are_plain_dictionaries() -> None:
    import pyoci

    assert pyoci.State is results.State and pyoci.Stats is results.Stats
    assert {"State", "Stats"} <= set(dir(pyoci))
    assert isinstance(results.Stats(), dict)  # type: ignore[typeddict-item]
    assert set(get_args(results.Status)) == {"creating", "created", "running", "paused", "stopped"}


def test_what_is_counted_has_its_place_in_the_types() -> None:
    """A name that the code writes and the types lack would be an error to every caller's type checker."""
    from pyoci.cgroups import stats, stats_v1, stats_v2

    assert set(get_type_hints(results.Stats)) == set(stats.blank())
    blkio = set(get_type_hints(results.BlkioStats)) - {"psi"}
    assert blkio == {name for name, _ in stats_v1._BLKIO}
    assert {name for name, _ in stats_v2._IO_NAMES.values()} <= blkio
    assert set(stats_v1._CPUSET_FLAGS) == set(get_type_hints(results.CpusetStats)) - {"cpus", "mems"}
    assert set(stats.entry("8:0", "Read", 1)) == set(get_type_hints(results.DeviceAmount))

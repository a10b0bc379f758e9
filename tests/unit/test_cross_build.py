"""A build for another machine: what it takes from the target's Python, and nothing of this one."""

import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAME = "_sysconfigdata__of_the_target"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PROJECT))
    from csrc.build import interpreter

    return interpreter


def set_target(monkeypatch: pytest.MonkeyPatch, place: Path, version: str) -> None:
    values = {
        "VERSION": version,
        "DESTSHARED": f"/opt/exec/python{version}/extensions",
        "BINDIR": "/opt/bin",
        "prefix": "/opt",
        "exec_prefix": "/opt/exec",
        "PLATLIBDIR": "lib64",
        "LIBDEST": f"/opt/lib64/python{version}",
        "INCLUDEPY": f"/opt/include/python{version}",
    }
    (place / f"{NAME}.py").write_text(f"build_time_vars = {values}\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "linux-other")
    monkeypatch.setenv("_PYTHON_SYSCONFIGDATA_NAME", NAME)


def test_places_are_the_targets(build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_target(monkeypatch, tmp_path, HERE)
    monkeypatch.setattr(build, "CC", ["cc", "--sysroot=/target/"])
    assert build.stock() == f"/opt/bin/python{HERE}"
    assert build.packages().split(":")[0] == f"/opt/lib/python{HERE}/site-packages"
    assert build.includes() == [f"/target/opt/include/python{HERE}"]
    own = [word for word in build.places() if sys.base_prefix in word and "PACKAGES" not in word]
    assert own == [], "Debian's places of packages, which every target has, lie below /usr"
    assert f'-DPYOCI_STDLIB="/opt/lib64/python{HERE}"' in build.places()


def test_another_version_is_refused(build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bytecode is this version's."""
    set_target(monkeypatch, tmp_path, "3.2")
    with pytest.raises(SystemExit, match=r"the target has Python 3\.2"):
        build.stock()


def test_a_target_that_is_not_described_is_told(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", "linux-other")
    monkeypatch.setenv("_PYTHON_SYSCONFIGDATA_NAME", "_sysconfigdata_of_nobody")
    with pytest.raises(SystemExit, match="_sysconfigdata_of_nobody"):
        build.stock()


def test_here_a_sysroot_is_the_compilers_business(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_PYTHON_HOST_PLATFORM", raising=False)
    monkeypatch.setattr(build, "CC", ["cc", "--sysroot=/target"])
    assert build.sysroot() == ""
    assert all(Path(place).is_dir() for place in build.includes())

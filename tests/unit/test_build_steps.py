"""The steps of a build (csrc/build), each by itself; tests/integration/test_build.py has whole builds."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
CSRC = PROJECT / "csrc"
sys.path.insert(0, str(PROJECT))

from csrc.build import compiler, generate, install, interpreter, programs, shim, trial  # noqa: E402

VARIABLES = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "STATIC_CC", "PYOCI_START")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_words_of_the_environment_follow_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O0 '-DTWO WORDS'")
    words = compiler.cflags("/scratch")
    assert words.index("-O2") < words.index("-O0") < words.index("-DTWO WORDS")
    assert f"-ffile-prefix-map={PROJECT}=pyoci" in words and "-ffile-prefix-map=/scratch=build" in words


@pytest.mark.parametrize(
    ("environment", "compilers", "words"),
    [
        ({}, [["musl-gcc"], compiler.CC], ["-static", "-fno-pie", "-no-pie"]),
        ({"CC": "clang"}, [compiler.CC], ["-static", "-fno-pie", "-no-pie"]),
        ({"STATIC_CC": "cc -static-pie"}, [["cc", "-static-pie"]], ["-static-pie", "-fPIE"]),
    ],
)
def test_static_compilers(
    monkeypatch: pytest.MonkeyPatch, environment: "dict[str, str]", compilers: "list[list[str]]", words: "list[str]"
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert compiler.static_compilers() == compilers
    assert compiler.static_words() == words


def test_every_c_file_is_compiled_by_a_step() -> None:
    """Of init the list is typed; the others are named where they are compiled."""
    steps = "".join(path.read_text() for path in (CSRC / "build").glob("*.py"))
    named = {*re.findall(r'"(\w+/\w+\.c)"', steps), *[f"init/{name}.c" for name in programs.INIT]}
    assert named == {str(path.relative_to(CSRC)) for path in CSRC.glob("*/*.c")}
    assert all(Path(compiler.source(name)).exists() for name in named)


def test_the_module_of_the_shim_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    one, other = (Path(shim.write_module(str(tmp_path / name))) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert str(tmp_path) not in one.read_text()


def test_a_start_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCI_START", "quick")
    with pytest.raises(SystemExit, match="it is one of frozen, linked, stock"):
        interpreter.wanted()


@pytest.mark.parametrize(
    ("version", "name", "why"),
    [((3, 11), "cpython", ""), ((3, 16), "cpython", "nobody has looked at"), ((3, 11), "pypy", "is not CPython")],
)
def test_pythons_that_get_the_stock_start(
    monkeypatch: pytest.MonkeyPatch, version: "tuple[int, int]", name: str, why: str
) -> None:
    monkeypatch.setattr(interpreter.sys, "version_info", (*version, 0))
    monkeypatch.setattr(interpreter.sys, "implementation", type("", (), {"name": name}))
    said = interpreter.unknown()
    assert why in said and bool(why) == bool(said)


CONFIG = """extern PyObject* PyInit_posix(void);
extern PyObject* PyInit_pyexpat(void);
extern PyObject* PyInit__md5(void);
struct _inittab _PyImport_Inittab[] = {
    {"posix", PyInit_posix},
    {"pyexpat", PyInit_pyexpat},
    {"_md5", PyInit__md5},
    {0, 0}
};
"""


def test_optional_modules_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "python"
    place.mkdir()
    monkeypatch.setattr(interpreter, "variable", lambda name: str(place))
    assert interpreter.module_list(str(tmp_path)) is None
    (place / "config.c").write_text(CONFIG)
    text = Path(interpreter.module_list(str(tmp_path))).read_text()
    assert text == "".join(line for line in CONFIG.splitlines(True) if "pyexpat" not in line and "_md5" not in line)


def test_what_is_no_object_of_a_compiler() -> None:
    with pytest.raises(SystemExit, match="makes no ELF objects"):
        generate.text_of(b"MZ", "kernel")


def test_a_trial_sees_the_package_beside_cffi(tmp_path: Path) -> None:
    """As it will be installed, although the library of a build lies elsewhere."""
    package = tmp_path / "lib" / "pyoci"
    (package / "programs").mkdir(parents=True)
    (package / "programs" / "init").write_text("init")
    (tmp_path / "scratch").mkdir()
    words = [str(package / "programs" / "init"), "0", "packages=/elsewhere"]
    first, *rest = trial.beside_cffi(words, str(package), str(tmp_path / "scratch"))
    place = Path(first).parents[2]
    assert rest == words[1:] and Path(first).read_text() == "init"
    assert [name for name in os.listdir(place) if name.startswith("_cffi_backend")] and place != package.parent


def test_finish_says_which_start_it_got(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "refusals", [])
    programs.finish("frozen", "/package")
    assert capsys.readouterr().err.endswith("the build's start is frozen (tried with a container)\n")
    trial.refusals.append("unshare: EPERM")
    programs.finish("linked", "/package")
    said: Any = capsys.readouterr().err
    assert "start slower than they could" in said and said.endswith("refuses this build a container: unshare: EPERM)\n")


# make install


def installed(tmp_path: Path) -> Any:
    made = install.Installation(str(tmp_path / "stage"), "/opt/x")
    (tmp_path / "file").write_text("new")
    return made


def test_uninstall_leaves_what_others_put_there(tmp_path: Path) -> None:
    made = installed(tmp_path)
    made.put(tmp_path / "file", "share/doc/pyoci/a")
    made.put(tmp_path / "file", "bin/pyoci")
    made.write_list()
    (tmp_path / "stage/opt/x/bin/other").touch()
    assert install.Installation(str(tmp_path / "stage"), "/opt/x").remove()
    found = list((tmp_path / "stage/opt/x").rglob("*"))
    assert [path.name for path in found] == ["bin", "other"]
    assert not install.Installation(str(tmp_path / "stage"), "/opt/x").remove(), "there is no list any more"


def test_uninstall_leaves_directories_that_were_there(tmp_path: Path) -> None:
    """As /usr/local/bin and share/man, to which Debian's /usr/local/man is a link, and which Debian has empty."""
    (tmp_path / "stage/opt/x/bin").mkdir(parents=True)
    (tmp_path / "stage/opt/x/share/man").mkdir(parents=True)
    for _ in range(2):  # the second time in the place of the first
        made = installed(tmp_path)
        made.remove()
        for name in ("bin/pyoci", "share/man/man8/pyoci.8", "lib/pyoci/a.py"):
            made.put(tmp_path / "file", name)
        made.write_list()
    (tmp_path / "stage/opt/x/share/man/man8/other.8").touch()
    made = installed(tmp_path)
    made.remove()
    assert made.made == ["share/man/man8/"]  # ours still, when others have left it
    found = sorted(str(path.relative_to(tmp_path / "stage/opt/x")) for path in (tmp_path / "stage/opt/x").rglob("*"))
    assert found == ["bin", "share", "share/man", "share/man/man8", "share/man/man8/other.8"]


def test_uninstall_leaves_what_python_compiled_for_others(tmp_path: Path) -> None:
    """Below a prefix of our name, too."""
    made = install.Installation(str(tmp_path / "stage"), "/opt/pyoci")
    (tmp_path / "file").touch()
    made.put(tmp_path / "file", "bin/pyoci")
    made.write_list()
    theirs = tmp_path / "stage/opt/pyoci/bin/__pycache__/other.pyc"
    theirs.parent.mkdir()
    theirs.touch()
    assert made.remove() and theirs.exists()


def test_uninstall_removes_what_python_compiled_since(tmp_path: Path) -> None:
    made = installed(tmp_path)
    made.put(tmp_path / "file", "lib/pyoci/room/a.py")
    made.write_list()
    cache = tmp_path / "stage/opt/x/lib/pyoci/room/__pycache__"
    cache.mkdir()
    (cache / "a.pyc").touch()
    assert made.remove() and list((tmp_path / "stage/opt/x").iterdir()) == []


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    made = installed(tmp_path)
    (tmp_path / "stage/opt/x/bin").mkdir(parents=True)
    (tmp_path / "others").write_text("theirs")
    (tmp_path / "stage/opt/x/bin/pyoci").symlink_to(tmp_path / "others")
    made.put(tmp_path / "file", "bin/pyoci")
    assert (tmp_path / "others").read_text() == "theirs"
    assert (tmp_path / "stage/opt/x/bin/pyoci").read_text() == "new"


@pytest.mark.parametrize("name", ["../out", "share/../../out", "/etc/passwd", ""])
def test_nothing_is_written_or_removed_outside(tmp_path: Path, name: str) -> None:
    made = installed(tmp_path)
    with pytest.raises(SystemExit):
        made.put(tmp_path / "file", name)
    (tmp_path / "stage/opt/x/share/pyoci").mkdir(parents=True)
    (tmp_path / "stage/opt/x/share/pyoci/installed").write_text(f"{name}\n")
    with pytest.raises(SystemExit):
        made.remove()


def test_the_package_goes_where_python_looks_and_the_launcher_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert install.packages(sys.base_prefix).format() in [place.format(version=version) for place in install.PLACES]
    assert install.packages("/no/where") == f"lib/python{version}/site-packages"
    monkeypatch.setattr(install, "ASK", "print('/usr/local/lib/x'); print('/usr/lib/python3/dist-packages')")
    assert install.packages("/usr") == "lib/python3/dist-packages"
    launcher = re.sub(r'"\s*PYOCI_LIBRARY\s*"', f"python{version}", (CSRC / "start" / "launcher.c").read_text())
    assert [place for place in install.PLACES if f'"{place.format(version=version)}"' not in launcher] == []


def test_a_copy_of_the_sources_knows_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCI_COMMIT", "abc")
    assert generate.commit() == "abc"

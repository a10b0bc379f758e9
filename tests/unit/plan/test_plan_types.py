"""The functions that make steps: what they give, what mypy refuses, and that an installed pyoci does not call them."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plan_samples import request_of, small

from pyoci.cgroups import perform as of_cgroups
from pyoci.container import delete, perform
from pyoci.plan import ops, rootfs
from pyoci.plan.compile_exec import compile_exec
from pyoci.plan.model import Plan
from pyoci.plan.words import OPERATIONS, RUNTIME_OPERATIONS, SYNC_POINTS

PROJECT = Path(__file__).parents[3]
PLAN = PROJECT / "pyoci" / "plan"
ALL = [*enumerate(OPERATIONS), *RUNTIME_OPERATIONS.items()]

# What mypy must say to a line of a compiler module, with the words in which it names the field
RIGHT = 'plan.add(ops.make_directory("process.cwd", path="/", mode=0o755))'
WRONG = [
    ('plan.add(ops.make_directory("process.cwd", path="/"))', 'Missing named argument "mode"'),
    ('plan.add(ops.make_directory("process.cwd", path="/", mode="755"))', 'Argument "mode" to "make_directory"'),
    ('plan.add(ops.make_directory("process.cwd", "/", 0o755))', "Too many positional arguments"),
    ('plan.add(ops.make_directory("process.cwd", path="/", mood=0o755))', 'Unexpected keyword argument "mood"'),
    ('plan.add(ops.sync("hooks", ops.SYNC))', 'Argument 2 to "sync"'),  # the step's number is no sync point's
    ('plan.add((ops.UMASK, "process.user.umask", (0o022,)))', 'Argument 1 to "add" of "Plan"'),
    ('plan.parent.append(ops.oom_score_add("process.oomScoreAdj", 1))', 'has no attribute "oom_score_add"'),
    ('plan.parent.append(ops.oom_score_adj("process.oomScoreAdj", "1"))', 'Argument 2 to "oom_score_adj"'),
    ('plan.parent.append(ops.umask("process.user.umask", 0o022))', 'Argument 1 to "append" of "list"'),
    ('plan.add(ops.oom_score_adj("process.oomScoreAdj", 1))', 'Argument 1 to "add" of "Plan"'),
]


def test_mypy_refuses_a_step_with_a_missing_or_a_wrong_field(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    lines = ["from pyoci.plan import ops", "from pyoci.plan.model import Plan", "plan = Plan()", RIGHT]
    snippet = tmp_path / "snippet.py"
    snippet.write_text("\n".join([*lines, *[line for line, _ in WRONG], ""]))
    words = ["-m", "mypy", "--strict", "--no-pretty", "--cache-dir", str(tmp_path / "cache"), str(snippet)]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    told = re.findall(r"snippet\.py:(\d+): error: (.*)", done.stdout)
    assert [int(line) for line, _ in told] == [len(lines) + 1 + n for n in range(len(WRONG))], done.stdout + done.stderr
    for (line, expected), (_, words_of_mypy) in zip(WRONG, told):
        assert expected in words_of_mypy, line


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives modules of csrc/build by name."""
    monkeypatch.syspath_prepend(str(PROJECT))
    return lambda name: importlib.import_module(f"csrc.build.{name}")


def test_the_stub_is_what_plan_h_says(build: Any) -> None:
    stub = build("ops").stub((PLAN / "ops.py").read_text(), (PLAN / "words.py").read_text())
    assert (PLAN / "ops.pyi").read_text() == stub, "`make -B build/.built` writes it anew"
    written = (PROJECT / "csrc" / "shared" / "plan.h").read_text().replace("\\\n", " ")
    fields = dict(re.findall(r"^#define FIELDS_([A-Z_]+)\(F\)(.*)$", written, re.MULTILINE))
    typed = dict(re.findall(r"^def ([a-z_]+)\(where: str(.*)\) -> \w+Step: \.\.\.$", stub, re.MULTILINE))
    assert {name.lower() for name in fields} == set(typed)
    for name, listed in fields.items():
        names = re.findall(r"F\(\w, (\w+)\)", listed)
        assert re.findall(r"(\w+):", typed[name.lower()]) == names


def test_stubs_are_part_of_the_package() -> None:
    import tomllib

    with (PROJECT / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]["pyoci"]
    package = PROJECT / "pyoci"
    assert {str(stub.relative_to(package)) for stub in package.glob("**/*.pyi")} <= set(data)


@pytest.mark.parametrize(("number", "operation"), ALL, ids=[operation[0] for _, operation in ALL])
def test_a_function_gives_its_step(number: int, operation: Any) -> None:
    name, _, fields = operation
    make = getattr(ops, name.lower())
    given = {field: f"the {field}" for _, field in fields}
    assert make("place", **given) == (number, "place", tuple(given.values()))
    assert getattr(ops, name) == number
    for field in given:
        with pytest.raises(TypeError, match=field):
            make("place", **{other: value for other, value in given.items() if other != field})


def steps_made(tree: ast.AST) -> "list[str]":
    """The calls of ops.py's functions."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [f.attr for f in calls if isinstance(f, ast.Attribute) and getattr(f.value, "id", "") == "ops"]


def test_installed_a_step_is_a_tuple_and_no_call(build: Any) -> None:
    """And so nothing but constants of ops.py is asked for, and it is not loaded. A call whose fields stand in another
    order than plan.h's would stay one."""
    modules = build("modules")
    known = modules.constants(str(PROJECT / "pyoci" / "linux" / "kernel.py"), str(PLAN / "ops.py"))
    made: "set[str]" = set()
    for file in PROJECT.glob("pyoci/**/*.py"):
        tree = ast.parse(file.read_text())
        made.update(steps_made(tree))
        assert steps_made(modules.Folded(known).fold(tree)) == [], file
    assert made == {name.lower() for _, (name, _, _) in ALL}


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("f(ops.make_link(w, path=a(), target=b(), flags=ops.LINK_REPLACE))", False),
        ("f(ops.make_link(w, target=b(), path=a(), flags=1))", True),
        ("f(ops.make_link(w, **fields))", True),
        ("f(ops.umask(*fields))", True),
        ("f(ops.umask(w, ops.MASK_PATH))", False),
        ("f(ops.session(w))", False),
    ],
)
def test_folding_keeps_what_a_line_does(build: Any, line: str, stays: bool) -> None:
    modules = build("modules")
    known = modules.constants(str(PLAN / "ops.py"))
    folded = ast.fix_missing_locations(modules.Folded(known).fold(ast.parse(line)))
    assert (steps_made(folded) != []) is stays

    def result(tree: ast.Module) -> "list[Any]":
        log: "list[Any]" = []
        told = {"a": lambda: log.append("a") or "/a", "b": lambda: log.append("b") or "/b", "f": log.append}
        told["fields"] = ("w", 7) if "*fields" in line and "**" not in line else {"path": 1, "target": 2, "flags": 3}
        exec(compile(tree, "line", "exec"), {"ops": ops, "w": "where", **told})
        return log

    assert result(folded) == result(ast.parse(line))


def test_every_sync_point_has_a_word() -> None:
    numbers = {name: number for name, number in vars(ops).items() if name.startswith("SYNC_")}
    assert {f"SYNC_{word.upper()}": number for number, word in enumerate(SYNC_POINTS)} == numbers


def test_the_plan_of_exec_in_words() -> None:
    """It stops where none of `create` does."""
    process = {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 11, "hard": 12}], "oomScoreAdj": 3}
    request = request_of(small(process=process))
    request.host.same_file = lambda one, other: False  # type: ignore[method-assign]
    plan = compile_exec(request, 77)
    lines = plan.lines()
    (stop,) = [n for n, line in enumerate(lines) if "point=limits" in line]
    shows = r" +\d+  runtime  set resource limit +number=7 soft=11 hard=12 +process\.rlimits\[0\] \(RLIMIT_NOFILE\)"
    assert re.fullmatch(shows, lines[stop + 1])
    (joins,) = [n for n, line in enumerate(lines) if "join cgroups" in line]
    assert "runtime  write oom_score_adj" in lines[joins + 1]
    shown: Any = plan.document()
    acts = [step["operation"] for step in shown["steps"] if step["actor"] == "runtime"]
    assert acts == ["start-init", "oom-score-adj", "rlimit"]


def test_every_sync_point_can_be_told_in_words() -> None:
    plan = Plan()
    for number in range(len(SYNC_POINTS)):
        plan.add((ops.SYNC, "", (number,)))
    shown = [line.partition("point=")[2] for line in plan.lines() if "wait for the runtime" in line]
    assert shown == ["", *SYNC_POINTS[1:]]  # fields that are 0 are left out


def test_fields_that_are_taken_by_their_number() -> None:
    """pyoci/plan/rootfs.py changes flags, and looks at paths, of steps that are made."""
    names = {number: [field for _, field in fields] for number, (_, _, fields) in enumerate(OPERATIONS)}
    assert {number: names[number][at] for number, at in rootfs._FLAGS.items()} == dict.fromkeys(rootfs._FLAGS, "flags")
    assert {names[number][0] for number in rootfs._NAMING} == {"destination", "path"}
    assert names[ops.MOUNT_BIND][1] == "source"


def test_every_operation_of_the_runtime_has_somebody_who_does_it() -> None:
    undoing = {number for number, name in perform.UNDOING.items() if name in delete._UNDOES}
    assert len(undoing) == len(delete._UNDOES)
    rest = {ops.START_INIT, ops.END_PROCESSES, ops.REMOVE_STATE}  # the frame of create, and of delete
    done = {*perform._DOES, *of_cgroups.DOES}
    assert {number for number in RUNTIME_OPERATIONS if number not in rest} == done | undoing
    assert done & undoing == {ops.RUNTIME_HOOK, ops.RELEASE_ROOT}
    written = [words for _, words, _ in RUNTIME_OPERATIONS.values() if words.startswith("write ") and "_" in words]
    assert len(written) >= 3
    assert all(Path("/proc/self", words.removeprefix("write ")).exists() for words in written)

"""docs/api.md: its program works as it stands, its table has every method as it is; a service has no zombies left."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyoci
from tests.support.box import Box

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs" / "api.md").read_text()


def program(*words: str) -> "subprocess.CompletedProcess[str]":
    """Python with pyoci on its path."""
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)


SAID = [
    "status: running\nexec: 0\ncontainers: ['example'] []\nend: -9\n",
    "('WORDS\\n', 'done\\n') 3\n",
    "[0, 1, 2, 3, 4, 5, 6, 7]\n",
    "['100', '30', 'hello', 'you', 'you'] 0\n",
    "pids: {'current': 1, 'limit': 40}\ninside: True\nended: True -9\n",
]


@pytest.mark.root
@pytest.mark.parametrize("number", range(5))
def test_the_recipes_of_the_page(box: Box, tmp_path: Path, number: int) -> None:
    recipes = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(recipes) == len(SAID)
    (tmp_path / "recipe.py").write_text(recipes[number])
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    done = program(str(tmp_path / "recipe.py"), str(box.root), str(bundle.path))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", SAID[number])
    assert box.left() == []


def test_every_method_is_in_the_table_as_it_is() -> None:
    found = set()
    for name, method in vars(pyoci.Runtime).items():
        if inspect.isfunction(method) and name[0] != "_":
            signature = inspect.signature(method)
            parameters = [p for p in signature.parameters.values() if p.name != "self"]
            text = str(signature.replace(parameters=parameters))
            found.add(name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", text))
    assert found == set(re.findall(r"^\| `(\w+\([^`]*)` \|", PAGE, re.MULTILINE))


def test_the_public_names() -> None:
    from pyoci import errors, options, runtime

    assert pyoci.Runtime is runtime.Runtime and pyoci.Error is errors.Error
    assert pyoci.CreateOptions is options.CreateOptions and pyoci.ExecOptions is options.ExecOptions
    names = dir(pyoci)
    assert set(names) >= {"Runtime", "Process", "PIPE", "Error", "__version__"} and "is_command" not in names
    assert all(hasattr(pyoci, name) for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pyoci.nothing  # type: ignore[attr-defined] # noqa: B018
    assert (TREE / "pyoci" / "py.typed").exists()


def test_the_import_alone_loads_nothing() -> None:
    text = f"import sys; sys.path.insert(0, {str(TREE)!r}); before = set(sys.modules); import pyoci\n"
    done = program("-I", "-c", text + "print(set(sys.modules) - before)")
    assert done.stdout == "{'pyoci'}\n", done


@pytest.mark.root
@pytest.mark.root
def test_a_command_may_go_on_after_create(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    code = (
        "import sys, pyoci\npyoci.is_command = True\nruntime = pyoci.Runtime(sys.argv[1])\n"
        "process = runtime.create('c', pyoci.CreateOptions(sys.argv[2], detach=True))\n"
        "runtime.delete('c', force=True)\nprint(process.wait())\n"
    )
    words = ["timeout", "-s", "KILL", "20", sys.executable, "-c", code, str(box.root), str(bundle.path)]
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "-9\n"), done.stderr


def test_a_service_is_left_with_no_zombies(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    service = f"""
import os, select, pyoci
runtime = pyoci.Runtime({str(box.root)!r})
for force in (False, True):
    runtime.create("c", pyoci.CreateOptions({str(bundle.path)!r}, detach=True))
    pidfd = os.pidfd_open(runtime.state("c")["pid"])
    runtime.start("c")
    select.select([pidfd], [], [])
    assert runtime.state("c")["status"] == "stopped"
    runtime.delete("c", force=force)
    try:
        print("left:", os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        print("none left")
"""
    done = program("-c", service)
    assert (done.stdout, done.stderr) == ("none left\nnone left\n", "")


@pytest.mark.root
def test_a_program_has_its_signals_after_run(box: Box) -> None:
    """Those that come meanwhile are the container's; a handler of the program's is the program's again."""
    bundle = box.bundle().args("sh", "-c", "trap 'exit 7' USR1; echo > /up; while :; do sleep 1000 & wait; done")
    os.mkfifo(bundle.rootfs / "up")
    bundle.write()
    service = f"""
import os, signal, threading, pyoci
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append("ours"))
def send():
    open({str(bundle.rootfs / "up")!r}).read()
    os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=send).start()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
print(pyoci.Runtime({str(box.root)!r}).run("c", pyoci.CreateOptions({str(bundle.path)!r})), caught)
signal.raise_signal(signal.SIGUSR1)
print(caught, signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = program("-c", service)
    assert (done.stdout, done.stderr) == ("7 []\n['ours'] set()\n", "")
    assert box.left() == []

"""The wrapper: `python -I -S mutant.py FAULT RUNTIME ARGUMENT...` is RUNTIME with the fault."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from faults import FAULTS, Call, Fault

GLOBAL_WITH_VALUE = ("--root", "--log", "--log-format", "--cgroup-manager", "--rootless")


def parse(runtime: str, arguments: "list[str]") -> Call:
    """Finds the operation behind the global options."""
    index = 0
    while index < len(arguments) and arguments[index].startswith("-"):
        index += 2 if arguments[index] in GLOBAL_WITH_VALUE else 1
    operation = arguments[index] if index < len(arguments) else ""
    return Call(runtime, arguments, operation, arguments[index + 1 :])


def config_path(call: Call) -> str:
    for option in ("--bundle", "-b", "-bundle"):
        if option in call.rest:
            return os.path.join(call.rest[call.rest.index(option) + 1], "config.json")
    return "config.json"


def with_edited_config(call: Call, fault: Fault) -> int:
    """Runs with the edited file in the bundle, and puts the real one back."""
    path = config_path(call)
    try:
        with open(path) as file:
            text = file.read()
        config = json.loads(text)
    except (OSError, ValueError):
        return call.go().returncode
    if not isinstance(config, dict):
        return call.go().returncode
    here = os.getcwd()
    os.chdir(os.path.dirname(path) or ".")
    assert fault.config
    try:
        fault.config(config)
    except Exception:  # what a fault cannot edit it leaves alone: an error here would look like a catch
        config = json.loads(text)
    os.chdir(here)
    with open(path, "w") as file:
        json.dump(config, file)
    try:
        return call.go().returncode
    finally:
        with open(path, "w") as file:
            file.write(text)


def with_edited_output(call: Call, edit: object) -> int:
    done = call.go(stdout=subprocess.PIPE)
    try:
        content = json.loads(done.stdout)
    except ValueError:
        sys.stdout.write(done.stdout)
        return done.returncode
    try:
        edit(content)  # type: ignore[operator]
    except Exception:
        content = json.loads(done.stdout)
    json.dump(content, sys.stdout)
    return done.returncode


def main() -> int:
    name, runtime, *arguments = sys.argv[1:]
    fault = FAULTS[name]
    call = parse(runtime, arguments)
    if fault.config and call.operation in ("create", "run"):
        return with_edited_config(call, fault)
    if fault.state and call.operation == "state":
        return with_edited_output(call, fault.state)
    if fault.features and call.operation == "features":
        return with_edited_output(call, fault.features)
    if fault.operation:
        answer = fault.operation(call)
        if answer is not None:
            return answer
    os.execv(runtime, [runtime, *arguments])
    raise AssertionError("execv does not return")


if __name__ == "__main__":
    sys.exit(main())

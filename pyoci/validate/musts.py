"""The second layer, common part: what the spec demands of a config and no schema can say.

Every rule appends (code, path, sentence, hint) to a list; `catalog` knows each code's section of the spec. The rules
trust the types of what is there (the schema was asked before) but not that anything is there. Only MUSTs live here:
they run on every create. What the spec merely recommends is in `shoulds`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    Path = tuple[Union[str, int], ...]
    Finding = tuple[str, Path, str, str]
    Json = dict[str, Any]

SUPPORTED = (1, 3)  # the version of the specification these rules are written from


def platform(config: "Json") -> str:
    """The operating system a config is for: the one whose part it has, Linux unless another's is there alone."""
    if "linux" not in config:
        for name in ("windows", "solaris", "zos", "freebsd"):
            if name in config:
                return name
    return "linux"


def config_rules(config: "Json", out: "list[Finding]") -> None:
    """Every MUST of a config for any platform."""
    version(config, "ociVersion", out)
    target = platform(config)
    if "root" not in config and not (target == "windows" and "hyperv" in config["windows"]):
        hint = 'add "root": {"path": "rootfs"}'
        out.append(("root-required", ("root",), "the container needs a root filesystem", hint))
    if "process" in config:
        process_rules(config["process"], target, ("process",), out)
    if "annotations" in config:
        annotations(config["annotations"], ("annotations",), out)
    if "hooks" in config:
        hooks(config["hooks"], out)
    if target == "linux":
        from pyoci.validate.musts_linux import linux_rules

        linux_rules(config, out)
    if target != "linux" or "vm" in config:
        from pyoci.validate.musts_other import other_rules

        other_rules(config, target, out)


def version(document: "Json", name: str, out: "list[Finding]") -> None:
    """The version of the spec that a document names."""
    text = document.get(name, "1.0.0")
    numbers = semver(text)
    if numbers is None:
        out.append(("version-semver", (name,), f'"{text}" is no SemVer 2.0.0 version', "write it as MAJOR.MINOR.PATCH"))
    elif numbers[0] > SUPPORTED[0]:
        sentence = f"version {text} of the specification is not understood; the newest that is, is 1.3.0"
        out.append(("version-unsupported", (name,), sentence, ""))


def semver(text: str) -> "tuple[int, int, int] | None":
    """Major, minor and patch of a SemVer 2.0.0 version, or None where it is none."""
    core, _, build = text.partition("+")
    core, dash, pre = core.partition("-")
    numbers = core.split(".")
    if len(numbers) != 3 or not all(_is_number(part) for part in numbers):
        return None
    if dash and not all(_is_identifier(part) and (not part.isdigit() or _is_number(part)) for part in pre.split(".")):
        return None
    if "+" in text and not all(_is_identifier(part) for part in build.split(".")):
        return None
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0") and len(text) < 19


def _is_identifier(text: str) -> bool:
    return text.isascii() and text.replace("-", "0").isalnum()


def annotations(entries: "Json", path: "Path", out: "list[Finding]") -> None:
    """The names of annotations."""
    if "" in entries:
        out.append(("annotation-key-empty", (*path, ""), "the name of an annotation must not be empty", ""))


def hooks(kinds: "Json", out: "list[Finding]") -> None:
    """The hooks of the kinds that the spec knows."""
    from pyoci.linux.names import HOOKS

    for kind, entries in kinds.items():
        if kind not in HOOKS:
            continue
        for number, hook in enumerate(entries):
            program = hook.get("path", "/")
            if program[:1] != "/":
                sentence = f'the path of a hook must be absolute, "{program}" is not'
                out.append(("hook-path-relative", ("hooks", kind, number, "path"), sentence, ""))
            environment(hook.get("env", ()), ("hooks", kind, number, "env"), out)


def environment(entries: "list[str]", path: "Path", out: "list[Finding]") -> None:
    """The variables of a process or a hook."""
    for number, entry in enumerate(entries):
        problem = variable_problem(entry)
        if problem:
            code = "env-name-empty" if entry[:1] == "=" else "env-format"
            out.append((code, (*path, number), problem, ""))


def variable_problem(entry: str) -> str:
    """Why that is not NAME=value, in words that scripts know from runc; "" where it is."""
    if entry[:1] == "=":
        return f'environment variable name can\'t be empty: "{entry}"'
    return "" if "=" in entry else f"invalid environment variable: \"{entry}\": missing '='"


def process_rules(process: "Json", target: str, path: "Path", out: "list[Finding]") -> None:
    """Every MUST of a process, also of one given to exec."""
    cwd = process.get("cwd", "/")
    if target == "windows":
        if not process.get("args") and "commandLine" not in process:
            out.append(("process-args-empty", (*path, "args"), "args must not be empty without a commandLine", ""))
        if cwd[:1] not in ("/", "\\") and cwd[1:2] != ":":
            out.append(("process-cwd-relative", (*path, "cwd"), f'Cwd must be an absolute path, "{cwd}" is not', ""))
    else:
        if not process.get("args"):
            hint = "name the program, then its arguments"
            out.append(("process-args-empty", (*path, "args"), "args must not be empty", hint))
        if not cwd:
            out.append(("process-cwd-relative", (*path, "cwd"), "Cwd property must not be empty", "/ always exists"))
        elif cwd[0] != "/":
            out.append(("process-cwd-relative", (*path, "cwd"), f'Cwd must be an absolute path, "{cwd}" is not', ""))
    environment(process.get("env", ()), (*path, "env"), out)
    if "rlimits" in process:
        _rlimits(process["rlimits"], target, (*path, "rlimits"), out)
    if "consoleSize" in process or "scheduler" in process or "execCPUAffinity" in process:
        from pyoci.validate.musts_rare import rare_process_rules

        rare_process_rules(process, path, out)


def _rlimits(entries: "list[Json]", target: str, path: "Path", out: "list[Finding]") -> None:
    from pyoci.linux import kernel

    seen = set()
    for number, entry in enumerate(entries):
        kind = entry.get("type", "")
        if kind and kind in seen:
            sentence = f"{kind} is limited twice"
            out.append(("rlimit-duplicate", (*path, number), sentence, "keep one of the entries"))
        seen.add(kind)
        if target == "linux" and "type" in entry and not (kind[:7] == "RLIMIT_" and hasattr(kernel, kind)):
            from pyoci.linux.names import rlimits

            sentence = f'wrong rlimit value: "{kind}" is not a resource of getrlimit(2)'
            out.append(("rlimit-unknown", (*path, number, "type"), sentence, nearest(kind, rlimits())))
        soft, hard = entry.get("soft", 0), entry.get("hard", 2**64)
        if soft > hard:
            known = f"error setting rlimit type {getattr(kernel, kind, kind)}: invalid argument"
            sentence = f"{known}: the soft limit {soft} of {kind} is above the hard limit {hard}"
            out.append(("rlimit-soft-above-hard", (*path, number), sentence, ""))


def nearest(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """A suggestion for a misspelt word, or nothing."""
    from pyoci.spelling import suggestion  # only where something is wrong already

    return suggestion(word, known)

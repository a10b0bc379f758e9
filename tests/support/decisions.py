"""Finds code that decides by the words of an error, or of a report of init's, where it should go by kind or errno."""

import ast
from collections.abc import Iterator

WORDS = {"text", "location", "step", "hint", "where", "message", "args", "strerror"}
LOOKS = {
    "startswith", "endswith", "find", "rfind", "index", "rindex", "count", "partition", "rpartition", "split",
    "match", "search", "fullmatch", "findall", "removeprefix", "removesuffix",
}  # fmt: skip
CARRIERS = ("Error", "Exception", "Message", "Refused")


def decisions(source: str) -> "Iterator[tuple[str, int]]":
    """(function, line) of each comparison of, or look into, str(PROBLEM) or an attribute in words of PROBLEM: what an
    `except` binds, or a parameter or variable that is annotated or made as an error or a report."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = set(_carriers(function))
            copies = set(_copies(function, names))
            for node in ast.walk(function):
                if any(_is_words(side, names) or _is_name(side, copies) for side in _looked_into(node)):
                    yield function.name, node.lineno  # type: ignore[attr-defined]


def _carriers(function: "ast.FunctionDef | ast.AsyncFunctionDef") -> "Iterator[str]":
    for node in ast.walk(function):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if any(word in ast.unparse(node.annotation) for word in CARRIERS):
                yield node.arg
        elif (
            isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name)
        ):
            called = ast.unparse(node.value.func)
            if called in ("Error", "receive", "message.error") or called.endswith(("._failure", "._died")):
                yield node.targets[0].id


def _copies(function: ast.AST, names: "set[str]") -> "Iterator[str]":
    """Variables that words are put into, as they are or where there are some."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value.body if isinstance(node.value, ast.IfExp) else node.value
            if _is_words(value, names):
                yield node.targets[0].id


def _looked_into(node: ast.AST) -> "list[ast.expr]":
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKS:
        return [node.func.value, *node.args]
    return []


def _is_words(node: ast.expr, names: "set[str]") -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("str", "repr") and node.args:
            return isinstance(node.args[0], ast.Name) and node.args[0].id in names
        return isinstance(node.func, ast.Attribute) and _is_words(node.func.value, names)  # problem.text.lower()
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) and _is_name(part.value, names) for part in node.values)
    return isinstance(node, ast.Attribute) and node.attr in WORDS and _is_name(node.value, names)


def _is_name(node: ast.expr, names: "set[str]") -> bool:
    return isinstance(node, ast.Name) and node.id in names

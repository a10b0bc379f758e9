"""pyoci's modules as part of the interpreter's program: lean, constants in the place of their names, and frozen."""

import ast
import marshal
import os
import sysconfig
from collections.abc import Iterator
from types import CodeType
from typing import Any

from . import frozen, hot
from .compiler import write

# Of Python's own: what a hot command may want, from a file that only the second half of Python's start could read
PYTHONS_OWN = ("struct",)


class Lean(ast.NodeTransformer):
    """Takes out what nobody reads at run time, and every start would load and keep: type annotations, slots."""

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Slots are for those who read and check sources: each is an object to be made, and instances are few. A class
        whose fields are its annotations stays as it is."""
        if _is_made_of_annotations(node):
            return node
        node.body = [line for line in node.body if not _makes_slots(line)] or [ast.Pass()]
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(line) for line in node.orelse] or ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def _is_made_of_annotations(node: ast.ClassDef) -> bool:
    made_of = {ast.unparse(part).partition("(")[0].rpartition(".")[2] for part in [*node.bases, *node.decorator_list]}
    return bool(made_of & {"NamedTuple", "TypedDict", "dataclass"})


def _makes_slots(line: ast.stmt) -> bool:
    return isinstance(line, ast.Assign) and any(getattr(name, "id", "") == "__slots__" for name in line.targets)


CONSTANTS = ("pyoci.linux.kernel", "pyoci.plan.ops")  # modules of nothing else but steps' functions


class Folded(ast.NodeTransformer):
    """Puts the values of constants in the place of their names, as C's compiler does: kernel.py and plan/ops.py are
    hundreds of them, and each name would be looked up in two dictionaries. Likewise, in the place of a call of ops.py's
    functions, the tuple that it returns.

    modules: each one's constants by name, and of such functions their definitions
    """

    def __init__(self, modules: dict[str, dict[str, Any]]) -> None:
        self.modules = modules
        self.unused: set[str] = set()

    def fold(self, tree: ast.Module) -> Any:
        """Folds a module."""
        self.unused = set()
        tree = self.visit(tree)
        self.unused = set(self.modules) - {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
        return self.visit(tree)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        known = self._known(node)
        return node if known is None or isinstance(known, ast.FunctionDef) else _at(node, ast.Constant(known))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """What names the arguments in another order than the function stays a call: they are evaluated in theirs."""
        self.generic_visit(node)
        made = self._known(node.func)
        if not isinstance(made, ast.FunctionDef):
            return node
        names = [parameter.arg for parameter in made.args.args + made.args.kwonlyargs]
        named = [keyword.arg for keyword in node.keywords]
        given = [*node.args, *[keyword.value for keyword in node.keywords]]
        if len(given) != len(names) or named != names[len(node.args) :] or any(_is_starred(part) for part in given):
            return node
        returned: Any = made.body[0]
        return _at(node, _filled(returned.value, dict(zip(names, given))))

    def _known(self, node: ast.expr) -> Any:
        """What a module's attribute is, or None."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            return None
        return self.modules.get(node.value.id, {}).get(node.attr)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Of an import goes what nobody needs any more."""
        node.names = [alias for alias in node.names if alias.name not in self.unused]
        return node if node.names else ast.copy_location(ast.Pass(), node)


def _at(place: ast.AST, node: ast.AST) -> ast.AST:
    return ast.copy_location(node, place)


def _is_starred(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def _filled(node: Any, values: dict[str, ast.expr]) -> ast.expr:
    """A tuple of parameters and constants, with values for the parameters."""
    if isinstance(node, ast.Tuple):
        return ast.Tuple([_filled(part, values) for part in node.elts], ast.Load())
    return values[node.id] if isinstance(node, ast.Name) else ast.Constant(node.value)


def constants(*files: str) -> dict[str, dict[str, Any]]:
    """The constants that Python files assign, and the functions that they define: module name to name to value."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        with open(file, "rb") as text:
            lines = ast.parse(text.read()).body
        values: dict[str, Any] = {line.name: line for line in lines if isinstance(line, ast.FunctionDef)}
        for line in lines:
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
                values[ast.unparse(line.targets[0])] = line.value.value
        found[os.path.basename(file)[: -len(".py")]] = values
    return found


def modules_of(package: str, in_tree: bool) -> Iterator[tuple[str, bool, CodeType, int]]:
    """(full name, is it a package, its code, its source's time of change or 0) of every module of the program."""
    root = os.path.dirname(package)
    folded = Folded(constants(*(os.path.join(root, *name.split(".")) + ".py" for name in CONSTANTS)))
    paths = [os.path.join(place, file) for place, _, files in os.walk(package) for file in files]
    files = [(root, os.path.relpath(path, root)) for path in sorted(paths)]
    files += [(sysconfig.get_path("stdlib"), f"{name}.py") for name in PYTHONS_OWN]
    for root, file in files:
        path = os.path.join(root, file)
        if not file.endswith(".py") or file.endswith("generate.py"):
            continue
        is_package = file.endswith("/__init__.py")
        name = os.path.dirname(file) if is_package else file[: -len(".py")]
        shown, optimize = (path, 0) if in_tree else (f"<{file}>", 2)
        with open(path, "rb") as source_file:
            tree = ast.parse(source_file.read(), shown)
        name = name.replace("/", ".")
        tree = ast.fix_missing_locations(tree if in_tree else Lean().visit(folded.fold(tree)))
        code = compile(tree, shown, "exec", optimize=optimize, dont_inherit=True)
        changed = os.stat(path).st_mtime_ns if in_tree else 0
        yield name, is_package, code, changed


# By the assembler, which link-time optimization leaves alone. Linked last, it makes whole pages of the frozen objects:
# half an instruction that is given back (interpreter.c) would be what the interpreter has learned without its facts
DATA = """#if defined(__aarch64__) || defined(__powerpc64__)
#define PAGE 65536
#else
#define PAGE 4096
#endif
.section pyoci_frozen,"aw"
.balign PAGE
.section .rodata
.global module_code
module_code: .incbin "@FILE@"
.byte 0
.section .note.GNU-stack,"",%progbits
"""


def module_table(package: str, scratch: str, in_tree: bool, freeze: bool) -> tuple[str, str]:
    """Writes the modules of a package for the interpreter's program (start/interpreter.h); returns the C file and the
    assembler's.

    freeze: as objects, where that is possible, and not marshalled
    """
    pool, table, data = frozen.Frozen(), [], b""
    place = {name: number for number, name in enumerate(hot.modules())}
    modules = sorted(modules_of(package, in_tree), key=lambda module: (place.get(module[0], len(place)), module[0]))
    for name, is_package, code, changed in modules:
        piece, ready = b"", "NULL"
        try:
            ready = pool.add(code) if freeze else ready
        except frozen.Unknown:
            pass
        if ready == "NULL":
            piece = marshal.dumps(code)
        table.append((name, f"{ready}, {len(data)}, {len(piece)}, {int(is_package)}, {changed}"))
        data += piece
    write(os.path.join(scratch, "modules.bin"), data)
    lines = [f'{{ "{name}", {rest} }},' for name, rest in sorted(table)]
    text = f"""{chr(10).join(pool.lines) if freeze else ""}
#include "start/interpreter.h"
const size_t module_count = {len(lines)};
const struct module modules[] = {{ {" ".join(lines)} }};
"""
    write(os.path.join(scratch, "modules.c"), text.encode())
    write(os.path.join(scratch, "data.S"), DATA.replace("@FILE@", os.path.join(scratch, "modules.bin")).encode())
    return os.path.join(scratch, "modules.c"), os.path.join(scratch, "data.S")

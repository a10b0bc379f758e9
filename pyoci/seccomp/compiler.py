"""Compiles a profile to a BPF program with libseccomp (config-linux.md, "Seccomp")."""

import errno
import posix

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.seccomp.newer import unknown_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Known = set[tuple[Any, ...]]

NAME = "libseccomp.so.2"
ACTIONS = {
    "SCMP_ACT_KILL": kernel.SECCOMP_RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": kernel.SECCOMP_RET_KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": kernel.SECCOMP_RET_KILL_THREAD,
    "SCMP_ACT_TRAP": kernel.SECCOMP_RET_TRAP,
    "SCMP_ACT_ERRNO": kernel.SECCOMP_RET_ERRNO,
    "SCMP_ACT_TRACE": kernel.SECCOMP_RET_TRACE,
    "SCMP_ACT_ALLOW": kernel.SECCOMP_RET_ALLOW,
    "SCMP_ACT_LOG": kernel.SECCOMP_RET_LOG,
    "SCMP_ACT_NOTIFY": kernel.SECCOMP_RET_USER_NOTIF,
}
OPERATORS = (
    "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
)  # fmt: skip
ARCHITECTURES = (
    "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
)  # fmt: skip
_WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
# The library asks the running kernel what it offers, and refuses the rest. Every kernel that pyoci runs on has it all.
_API_LEVEL = 6
# From here on a search by halves is quicker than a list
_MANY_RULES = 32
_MOST_RULES = 2 * kernel.BPF_MAXINSNS  # each is an instruction or more, but for those that others make superfluous
_WHERE = "linux.seccomp"


class Compiled:
    """A program (struct sock_filter[]), and the path of the library that made it."""

    __slots__ = ("library", "program")

    def __init__(self, program: bytes, library: str) -> None:
        self.program = program
        self.library = library


class Library:
    """libseccomp, opened. Errors, at its making: ImportError where there is no cffi."""

    __slots__ = ("call", "ffi", "version")

    def __init__(self) -> None:
        from pyoci.seccomp._library import ffi  # `validate` reads profiles without it

        self.ffi = ffi
        try:
            self.call = ffi.dlopen(NAME)
        except OSError:
            raise Error(
                f"it needs the library {NAME}, which is not installed",
                location=_WHERE,
                hint="install libseccomp (Debian: libseccomp2), or leave linux.seccomp out",
                kind="missing",
            ) from None
        found = self.call.seccomp_version()
        self.version = f"{found.major}.{found.minor}.{found.micro}"
        self.call.seccomp_api_set(_API_LEVEL)

    def path(self) -> str:
        """Where the library lies: the loader alone knows."""
        from pyoci.host import Host

        for line in Host().read_all("/proc/self/maps").split("\n"):
            at = line.find("/")
            if at >= 0 and "/libseccomp.so" in line:
                return line[at:]
        return ""

    def knows(self, architecture: str) -> bool:
        """Whether it can filter the calls of SCMP_ARCH_*."""
        return bool(self._token(architecture))

    def knows_call(self, name: str) -> bool:
        """Whether it knows a system call of this name on any machine."""
        return bool(self.number(name) != self.call.NR_SCMP_ERROR)

    def number(self, name: str) -> int:
        """A system call's number on this machine, below 0 for another machine's, NR_SCMP_ERROR for an unknown one."""
        return int(self.call.seccomp_syscall_resolve_name(name.encode("utf-8", "surrogateescape")))

    def _token(self, name: str) -> int:
        return int(self.call.seccomp_arch_resolve_name(name[len("SCMP_ARCH_") :].lower().encode()))

    def architecture(self, name: str, where: str) -> int:
        """The token of SCMP_ARCH_*."""
        token = self._token(name)
        if token == 0:
            raise Error(
                f"libseccomp {self.version} does not know {name}",
                location=where,
                hint="a newer one may",
                kind="missing",
            )
        return token


def compile_profile(profile: "dict[str, Any]") -> Compiled:
    """Compiles linux.seccomp, checked.

    Errors: Error with the rule that libseccomp refuses.
    """
    library = Library()
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    tokens = _tokens(library, profile)
    rules = profile.get("syscalls") or []
    filters: "list[Any]" = []
    try:
        pair = _x86_64_and_x32(library, list(tokens))
        for group in _groups(list(tokens), pair):
            filters.append(_filter(library, default))
            _architectures(library, filters[-1], {token: tokens[token] for token in group})
            if len(rules) > _MANY_RULES:  # refused by libraries before 2.5, which then keep to the list
                library.call.seccomp_attr_set(filters[-1], library.call.SCMP_FLTATR_CTL_OPTIMIZE, 2)
        foreign = filters[1:] if pair else filters  # what x86_64 has not got x32 has not got, either
        known: "_Known" = set()
        for index, rule in enumerate(rules):
            _rule(library, filters, foreign, default, rule, f"{_WHERE}.syscalls[{index}]", known)
        while len(filters) > 1:
            _merge(library, filters)
        program = unknown_calls(library, profile, list(tokens)) + _export(library, filters[0])
    finally:
        for filter in filters:
            library.call.seccomp_release(filter)
    if len(program) // 8 > kernel.BPF_MAXINSNS:
        text = f"it makes a filter of {len(program) // 8} instructions; the kernel takes {kernel.BPF_MAXINSNS}"
        raise Error(text, location=_WHERE, hint="fewer rules with args, or fewer architectures, make a smaller one")
    return Compiled(program, library.path())


def _action(name: str, number: "int | None") -> int:
    code = ACTIONS[name]
    return code | (errno.EPERM if number is None else number) if name in _WITH_NUMBER else code


def _filter(library: Library, default: int) -> "Any":
    filter = library.call.seccomp_init(default)
    if not filter:
        raise Error(
            f"libseccomp {library.version} refuses the default action",
            location=f"{_WHERE}.defaultAction",
            kind="missing",
        )
    return filter


def _token(library: Library, name: str) -> int:
    return int(library.call.seccomp_arch_resolve_name(name.encode()))


def _tokens(library: Library, profile: "dict[str, Any]") -> "dict[int, tuple[str, str]]":
    """The architectures of a filter, the machine's own first, which it always has: token to name and place."""
    tokens = {int(library.call.seccomp_arch_native()): ("", "")}
    for index, name in enumerate(profile.get("architectures") or []):
        where = f"{_WHERE}.architectures[{index}]"
        tokens.setdefault(library.architecture(name, where), (name, where))
    return tokens


def _x86_64_and_x32(library: Library, tokens: "list[int]") -> "list[int]":
    """Both, where the machine is an x86_64 and x32 is wanted; else none."""
    pair = [_token(library, "x86_64"), _token(library, "x32")]
    return pair if tokens[0] == pair[0] and pair[1] in tokens else []


def _groups(tokens: "list[int]", pair: "list[int]") -> "list[list[int]]":
    """The architectures of each filter, which are merged in the end: x86_64 with x32 is apart from all others.

    In one filter with x32 a rule for a call that x86_64 has not got makes libseccomp (2.5.4) forget rules that have
    args, if its action is another than theirs: what they forbid would be allowed.
    """
    others = [token for token in tokens if token not in pair]
    return [group for group in (pair, others) if group]


def _architectures(library: Library, filter: "Any", tokens: "dict[int, tuple[str, str]]") -> None:
    """Gives a filter these architectures and no other."""
    native = int(library.call.seccomp_arch_native())
    for token, (name, where) in tokens.items():
        result = library.call.seccomp_arch_add(filter, token) if token != native else 0
        if result == -errno.EDOM:
            raise Error(f"{name} has another byte order than this machine", location=where, hint="leave it out")
        if result < 0:
            raise Error(f"libseccomp {library.version} refuses {name}", location=where, errno=-result, kind="missing")
    if native not in tokens:
        library.call.seccomp_arch_remove(filter, native)


def _merge(library: Library, filters: "list[Any]") -> None:
    """Adds the last filter to the first; then it is the library's."""
    result = library.call.seccomp_merge(filters[0], filters[-1])
    if result < 0:
        raise Error(f"libseccomp {library.version} cannot join two filters", location=_WHERE, errno=-result)
    filters.pop()


def _rule(
    library: Library,
    filters: "list[Any]",
    foreign: "list[Any]",
    default: int,
    rule: "dict[str, Any]",
    where: str,
    known: "_Known",
) -> None:
    """Adds what a rule says and `known` has not got: the library takes the longer the more rules it has.

    filters: each gets the rule; foreign: those that get one for a call which this machine's architecture has not got
    """
    action = _action(rule["action"], rule.get("errnoRet"))
    if action == default:  # the library refuses what would change nothing
        return
    groups = _conditions(library, rule.get("args") or [])
    for name in rule["names"]:
        number = library.number(name)
        if number == library.call.NR_SCMP_ERROR:
            continue  # unknown: to be skipped, says the spec
        for group in groups:
            if (number, *group) in known:
                continue  # the first one counts
            known.add((number, *group))
            if len(known) > _MOST_RULES:
                text = f"more than {_MOST_RULES} different rules make no filter of {kernel.BPF_MAXINSNS} instructions"
                raise Error(text, location=where, hint="fewer rules with args make a smaller one")
            conditions = library.ffi.new("struct scmp_arg_cmp[]", group)
            for filter in foreign if number < 0 else filters:
                result = library.call.seccomp_rule_add_array(filter, action, number, len(group), conditions)
                if result < 0 and result != -errno.EEXIST:
                    text = f"libseccomp {library.version} refuses the rule for {name}"
                    raise Error(text, location=where, errno=-result)


def _conditions(library: Library, args: "list[dict[str, Any]]") -> "list[list[tuple[int, int, int, int]]]":
    """The conditions of a rule: all must hold; but where two concern one argument each stands for itself, as engines
    expect who list the values that are allowed."""
    conditions = []
    for arg in args:
        op = getattr(library.call, arg["op"])
        conditions.append((arg["index"], op, arg["value"], arg.get("valueTwo") or 0))
    if len({condition[0] for condition in conditions}) < len(conditions):
        return [[condition] for condition in conditions]
    return [conditions]


def _export(library: Library, filter: "Any") -> bytes:
    fd = posix.memfd_create("seccomp", posix.MFD_CLOEXEC)
    try:
        result = library.call.seccomp_export_bpf(filter, fd)
        if result < 0:
            raise Error(f"libseccomp {library.version} cannot make the filter", location=_WHERE, errno=-result)
        return posix.pread(fd, posix.fstat(fd).st_size, 0)
    finally:
        posix.close(fd)

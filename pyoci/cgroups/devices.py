"""The device rules of linux.resources: in words, reduced, and as the v1 controller's state.

Access bits, types and the reading order are the kernel's (man 7 cgroups; spec: config-linux, Allowed Device list).
"""

from pyoci.cgroups.settings import Section
from pyoci.errors import Error

READ, WRITE, MKNOD = 1, 2, 4
EVERY = READ | WRITE | MKNOD
ANY = -1  # every major, every minor
MOST_RULES = 4096  # v1's kernel goes through all of them for each one more; v2 has a million instructions for them

_BITS = {"r": READ, "w": WRITE, "m": MKNOD}
_LETTERS = ("", "r", "w", "rw", "m", "rm", "wm", "rwm")  # by access bits

# What every container may do, whatever its rules say: make nodes; use null, full, zero, tty, random, urandom, its
# pseudo-terminals, and tun (as engines expect since runc has it). Kind, major and minor to access
_DEFAULTS = {
    ("c", ANY, ANY): MKNOD,
    ("b", ANY, ANY): MKNOD,
    ("c", 1, 3): EVERY,
    ("c", 1, 8): EVERY,
    ("c", 1, 7): EVERY,
    ("c", 5, 0): EVERY,
    ("c", 1, 5): EVERY,
    ("c", 1, 9): EVERY,
    ("c", 136, ANY): EVERY,
    ("c", 5, 2): EVERY,
    ("c", 10, 200): EVERY,
}


class Rule:
    """Allow or deny `access` (bits) to devices of a kind: "b" or "c", or "a" for both; major and minor, or ANY."""

    __slots__ = ("access", "allow", "kind", "location", "major", "minor")

    def __init__(self, allow: bool, kind: str, major: int, minor: int, access: int, location: str = "") -> None:
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
        self.location = location

    def covers(self, other: "Rule") -> bool:
        """Whether every device and every access of `other` is one of this rule."""
        return (
            self.kind in ("a", other.kind)
            and self.major in (ANY, other.major)
            and self.minor in (ANY, other.minor)
            and other.access & ~self.access == 0
        )

    def meets(self, other: "Rule") -> bool:
        """Whether some device and some access is in both."""
        return (
            (self.kind == other.kind or "a" in (self.kind, other.kind))
            and (self.major == other.major or ANY in (self.major, other.major))
            and (self.minor == other.minor or ANY in (self.minor, other.minor))
            and self.access & other.access != 0
        )

    def text(self) -> str:
        """As v1's files and systemd spell it: ``c 1:3 rwm``."""
        return rule_text((self.kind, self.major, self.minor), self.access)


def rule_text(devices: "tuple[str, int, int]", access: int) -> str:
    """Rule.text() of a rule that is given by kind, major and minor, and access bits."""
    kind, major, minor = devices
    return f"{kind} {'*' if major == ANY else major}:{'*' if minor == ANY else minor} {_LETTERS[access]}"


def access_text(access: int) -> str:
    """Bits as letters, in the kernel's order."""
    return _LETTERS[access]


def default_rules() -> "list[Rule]":
    """What every container may do, whatever its rules say."""
    return [Rule(True, *key, access, place_of_default(key, access)) for key, access in _DEFAULTS.items()]


def place_of_default(devices: "tuple[str, int, int]", access: int) -> str:
    """What stands for the place of a default rule, "" for another."""
    return "the default devices" if _DEFAULTS.get(devices) == access else ""


def parse(resources: "dict[str, object]", where: str) -> "list[Rule]":
    """The rules in the configuration's order, without the default ones."""
    rules = []
    for entry in Section(resources, where).items("devices"):
        kind = entry.text("type") or "a"
        kind = "c" if kind == "u" else kind
        if kind not in ("a", "b", "c"):
            raise Error(f"invalid device type {kind!r}: a, b, c or u", location=entry.at("type"))
        letters = entry.text("access")
        if not letters:
            raise Error("device access cannot be empty", location=entry.at("access"))
        access = 0
        for letter in letters:
            if letter not in _BITS:
                raise Error(f"invalid device access {letters!r}: some of r, w, m", location=entry.at("access"))
            access |= _BITS[letter]
        major, minor = _number(entry, "major"), _number(entry, "minor")
        rules.append(Rule(entry.flag("allow"), kind, major, minor, access, entry.where))
    return rules


def _number(entry: Section, key: str) -> int:
    number = entry.integer(key)
    if number is None:
        return ANY
    if not ANY <= number < 1 << 32:
        raise Error(f"invalid device number {number}", location=entry.at(key))
    return number


def reduce(rules: "list[Rule]") -> "list[Rule]":
    """The same meaning with fewer rules: one that later rules decide alone is dropped, and what is denied by default.

    Order stays: for each access the last rule that names it decides, and nothing is allowed without one.
    """
    kept: "list[Rule]" = []
    decided: "dict[tuple[str, int, int], set[int]]" = {}  # accesses by devices, of the rules kept
    for rule in reversed(rules):
        if not _covered(rule, decided):
            kept.append(rule)
            decided.setdefault((rule.kind, rule.major, rule.minor), set()).add(rule.access)
    if len(kept) > MOST_RULES:
        text = f"{len(kept)} device rules that differ; at most {MOST_RULES} can be applied"
        raise Error(text, location=kept[0].location, hint="one with `major` or `minor` left out covers many devices")
    kept.reverse()
    while kept and not kept[0].allow:
        kept.pop(0)
    return kept


def _covered(rule: Rule, decided: "dict[tuple[str, int, int], set[int]]") -> bool:
    """Whether one of the rules in `decided` covers this one: Rule.covers() without asking each."""
    for kind in ("a", rule.kind):
        for major in (ANY, rule.major):
            for minor in (ANY, rule.minor):
                for access in decided.get((kind, major, minor), ()):
                    if rule.access & ~access == 0:
                        return True
    return False


def allows_everything(rules: "list[Rule]") -> bool:
    """Whether the rules forbid nothing, so that a machine without device control does as asked."""
    left = reduce(rules)
    return bool(left) and left[0].covers(Rule(True, "a", ANY, ANY, EVERY)) and all(rule.allow for rule in left)


class State:
    """What the v1 controller knows: a default, and exceptions from it, each (kind, major, minor) with access bits."""

    __slots__ = ("allow", "exceptions")

    def __init__(self) -> None:
        self.allow = False
        self.exceptions: "dict[tuple[str, int, int], int]" = {}

    def apply(self, rule: Rule) -> None:
        """Takes one more rule, as far as the kernel's exceptions can express it."""
        if rule.kind == "a":
            if rule.major == rule.minor == ANY and rule.access == EVERY:
                self.allow = rule.allow
                self.exceptions.clear()
                return
            for kind in ("b", "c"):
                self.apply(Rule(rule.allow, kind, rule.major, rule.minor, rule.access, rule.location))
        elif rule.allow != self.allow:
            key = rule.kind, rule.major, rule.minor
            self.exceptions[key] = self.exceptions.get(key, 0) | rule.access
        else:
            self._withdraw(rule)

    def _withdraw(self, rule: Rule) -> None:
        for key in self._near(rule):
            access = self.exceptions[key]
            exception = Rule(rule.allow, *key, access)
            if not rule.meets(exception):
                continue
            if not Rule(True, rule.kind, rule.major, rule.minor, EVERY).covers(exception):
                raise Error(
                    f"cgroup v1 cannot take {rule.text()!r} back out of the wider {exception.text()!r}",
                    location=rule.location,
                    hint="name the devices one by one, or use a machine with cgroup v2",
                    kind="missing",
                )
            left = access & ~rule.access
            if left:
                self.exceptions[key] = left
            else:
                del self.exceptions[key]

    def _near(self, rule: Rule) -> "list[tuple[str, int, int]]":
        """The exceptions among which are all that the rule meets."""
        if ANY in (rule.major, rule.minor):
            majors = (ANY, rule.major)
            return [key for key in self.exceptions if rule.major == ANY or key[1] in majors]
        keys = [(rule.kind, major, minor) for major in (ANY, rule.major) for minor in (ANY, rule.minor)]
        return [key for key in keys if key in self.exceptions]


def state_of(rules: "list[Rule]") -> State:
    """The state that a list of rules ends in, from «nothing is allowed»."""
    state = State()
    for rule in rules:
        state.apply(rule)
    return state


def state_with_defaults(rules: "list[Rule]") -> State:
    """The state that a list of rules and the default ones behind it end in."""
    state = state_of(rules)
    if state.allow:
        for rule in default_rules():
            state.apply(rule)
        return state
    for key, access in _DEFAULTS.items():  # the same, without asking each what it is
        state.exceptions[key] = state.exceptions.get(key, 0) | access
    return state


def state_from_list(text: str) -> State:
    """The state that devices.list shows. Where the default is to allow, the kernel does not show the exceptions."""
    state = State()
    for line in text.splitlines():
        kind, numbers, letters = line.split()
        if kind == "a":
            state.allow = True
            continue
        major, minor = (ANY if number == "*" else int(number) for number in numbers.split(":"))
        access = sum(_BITS[letter] for letter in letters)
        state.exceptions[(kind, major, minor)] = access
    return state


def transition(now: State, wanted: State) -> "list[tuple[str, str]]":
    """(file, value) writes from one state to another. Between two lists of allowed devices, none is ever missing."""
    if now.allow or wanted.allow:
        file = "devices.allow" if wanted.allow else "devices.deny"
        writes, exceptions = [(file, "a")], wanted.exceptions
        if wanted.allow and now.allow and not wanted.exceptions:
            return writes
        other = "devices.deny" if wanted.allow else "devices.allow"
        return writes + [(other, rule_text(key, access)) for key, access in exceptions.items()]
    writes = []
    for key, access in now.exceptions.items():
        if gone := access & ~wanted.exceptions.get(key, 0):
            writes.append(("devices.deny", rule_text(key, gone)))
    for key, access in wanted.exceptions.items():
        if new := access & ~now.exceptions.get(key, 0):
            writes.append(("devices.allow", rule_text(key, new)))
    return writes

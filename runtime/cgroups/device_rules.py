"""Device rules: which devices a container may use, by the configuration and by default.

Each rule allows or denies some accesses to some devices. For each access the last matching rule
wins; without a matching rule the access is denied. Version 2 runs an eBPF program that is composed
of the rules. Version 1 has no order: it has a default and exceptions from it, so the rules are
converted to that form, or refused if that is impossible. (OCI config-linux.md, "Allowed Device
list"; Documentation/admin-guide/cgroup-v1/devices.rst)
"""

from __future__ import annotations

from runtime.errors import InvalidConfig, Unavailable
from runtime.lazy import remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec.config import DeviceRule

    Kind = tuple[str, int | None, int | None]  # type, major and minor; None means any number

READ, WRITE, MKNOD = 1, 2, 4
ALL = READ | WRITE | MKNOD
_BITS = {"r": READ, "w": WRITE, "m": MKNOD}
_LARGEST = (1 << 31) - 1


class Rule:
    """A rule that allows or denies some accesses to devices of a kind; its type is c or b."""

    __slots__ = ("access", "allow", "kind")

    def __init__(self, allow: bool, kind: Kind, access: int) -> None:
        self.allow = allow
        self.kind = kind
        self.access = access


# The devices of OCI config-linux.md, "Default Devices", with pseudo-terminals. As in other runtimes
# also the creation of any node, and the TUN device.
_DEFAULTS = tuple(
    Rule(True, kind, access)
    for kind, access in (
        (("c", None, None), MKNOD),
        (("b", None, None), MKNOD),
        (("c", 1, 3), ALL),
        (("c", 1, 5), ALL),
        (("c", 1, 7), ALL),
        (("c", 1, 8), ALL),
        (("c", 1, 9), ALL),
        (("c", 5, 0), ALL),
        (("c", 5, 1), ALL),
        (("c", 5, 2), ALL),
        (("c", 136, None), ALL),
        (("c", 10, 200), ALL),
    )
)


def rules(document_rules: Sequence[DeviceRule]) -> list[Rule]:
    """Return the rules of the configuration for both types, after them the defaults.

    Raise InvalidConfig, which names the field.
    """
    return [
        *(rule for place, each in enumerate(document_rules) for rule in _parsed(place, each)),
        *_DEFAULTS,
    ]


def _parsed(place: int, rule: DeviceRule) -> Iterator[Rule]:
    where = f"linux.resources.devices[{place}]"
    if rule.type not in {"", "a", "b", "c"}:
        raise InvalidConfig(f"{where}.type: {rule.type!r} must be a, b or c.")
    if not rule.access or set(rule.access) - set("rwm"):
        raise InvalidConfig(f"{where}.access: {rule.access!r} must consist of r, w and m.")
    numbers = []
    for name, number in (("major", rule.major), ("minor", rule.minor)):
        if number is not None and not -1 <= number <= _LARGEST:
            raise InvalidConfig(f"{where}.{name}: {number} is not a device number.")
        numbers.append(None if number == -1 else number)
    access = sum(_BITS[letter] for letter in set(rule.access))
    for kind in "bc" if rule.type in {"", "a"} else rule.type:
        yield Rule(rule.allow, (kind, numbers[0], numbers[1]), access)


def is_everything_allowed(applicable: Sequence[Rule]) -> bool:
    """Return True if the rules deny no access."""
    left = {"b": ALL, "c": ALL}
    for rule in reversed(applicable):
        kind, major, minor = rule.kind
        if rule.allow and major is None and minor is None:
            left[kind] &= ~rule.access
        elif not rule.allow and rule.access & left[kind]:
            return False
    return not any(left.values())


@remembered
def exceptions_of(document_rules: tuple[DeviceRule, ...]) -> tuple[bool, list[str]]:
    """Return `exceptions` for the configuration's rules and the defaults."""
    return exceptions(rules(document_rules))


def exceptions(applicable: Sequence[Rule]) -> tuple[bool, list[str]]:
    """Return version 1's default, True if it allows, and the exceptions as lines for its files.

    Raise Unavailable if an exception would need exceptions of its own.
    """
    start = _everything_allowed_at(applicable)
    different = _different(applicable[start:], default=True) if start is not None else None
    if different is not None:
        return True, different
    different = _different(applicable, default=False)
    if different is None:
        raise Unavailable(
            "linux.resources.devices: cgroup version 1 can't deny a device of a kind that is"
            " allowed: list the allowed devices only."
        )
    return False, different


def _everything_allowed_at(applicable: Sequence[Rule]) -> int | None:
    places = range(len(applicable) + 1)
    return next((place for place in places if is_everything_allowed(applicable[:place])), None)


def _different(applicable: Sequence[Rule], *, default: bool) -> list[str] | None:
    """Return the exceptions from a default; None if an exception needs exceptions of its own."""
    kinds: dict[Kind, int] = {}
    for rule in applicable:
        if rule.allow != default:
            kinds[rule.kind] = kinds.get(rule.kind, 0) | rule.access
            continue
        for kind, access in list(kinds.items()):
            if access & rule.access and _overlap(kind, rule.kind):
                if not _is_within(kind, rule.kind):
                    return None
                kinds[kind] = access & ~rule.access
    return [_text(kind, access) for kind, access in kinds.items() if access]


def _overlap(first: Kind, second: Kind) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(first, second, strict=True))


def _is_within(inner: Kind, outer: Kind) -> bool:
    return all(b is None or a == b for a, b in zip(inner, outer, strict=True))


def _text(kind: Kind, access: int) -> str:
    """Return a line for devices.allow or devices.deny."""
    kind_type, *numbers = kind
    major, minor = ("*" if number is None else number for number in numbers)
    letters = "".join(letter for letter, bit in _BITS.items() if access & bit)
    return f"{kind_type} {major}:{minor} {letters}"

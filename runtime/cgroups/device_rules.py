"""Which devices a container may use: the document's rules, in their order, and the defaults.

A rule speaks of accesses one by one: what a later rule says of one access to a device holds against
all that earlier rules said of it, and what no rule speaks of is forbidden. Version 2 asks a program
that is composed of the rules. Version 1 has no order, just one default and exceptions from it, so
the rules are brought to that, or refused where they can't be.
(OCI config-linux.md, "Allowed Device list"; Documentation/admin-guide/cgroup-v1/devices.rst)
"""

from __future__ import annotations

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec.config import DeviceRule

    Kind = tuple[str, int | None, int | None]  # type, major and minor; None is every number

READ, WRITE, MKNOD = 1, 2, 4
ALL = READ | WRITE | MKNOD
_BITS = {"r": READ, "w": WRITE, "m": MKNOD}
_LARGEST = (1 << 31) - 1


class Rule:
    """What is said of some accesses to the devices of a kind; `type` is c or b."""

    __slots__ = ("access", "allow", "kind")

    def __init__(self, allow: bool, kind: Kind, access: int) -> None:
        self.allow = allow
        self.kind = kind
        self.access = access


# OCI config-linux.md, "Default Devices", with the pseudo-terminals and, as every runtime lets have,
# the making of any node and the tunnels' device.
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


def rules(wanted: Sequence[DeviceRule]) -> list[Rule]:
    """The rules for both types, then the defaults. Raises ContainerError that names the field."""
    found = [rule for place, one in enumerate(wanted) for rule in _parsed(place, one)]
    found += _DEFAULTS
    return found


def _parsed(place: int, rule: DeviceRule) -> Iterator[Rule]:
    where = f"linux.resources.devices[{place}]"
    if rule.type not in {"", "a", "b", "c"}:
        raise ContainerError(f"{where}.type: {rule.type!r} is none of a, b and c.")
    if not rule.access or set(rule.access) - set("rwm"):
        raise ContainerError(f"{where}.access: {rule.access!r} is not made of r, w and m.")
    numbers = []
    for name, number in (("major", rule.major), ("minor", rule.minor)):
        if number is not None and not -1 <= number <= _LARGEST:
            raise ContainerError(f"{where}.{name}: there is no device number {number}.")
        numbers.append(None if number == -1 else number)
    access = sum(_BITS[letter] for letter in set(rule.access))
    for kind in "bc" if rule.type in {"", "a"} else rule.type:
        yield Rule(rule.allow, (kind, numbers[0], numbers[1]), access)


def is_everything_allowed(found: Sequence[Rule]) -> bool:
    """Whether no access is forbidden by the rules."""
    left = {"b": ALL, "c": ALL}
    for rule in reversed(found):
        kind, major, minor = rule.kind
        if rule.allow and major is None and minor is None:
            left[kind] &= ~rule.access
        elif not rule.allow and rule.access & left[kind]:
            return False
    return not any(left.values())


def exceptions_of(wanted: tuple[DeviceRule, ...]) -> tuple[bool, list[str]]:
    """The same of the document's rules; of such that come again they are not worked out again."""
    if not (_latest and _latest[0][0] == wanted):
        _latest[:] = [(wanted, exceptions(rules(wanted)))]
    return _latest[0][1]


_latest: list[tuple[tuple[DeviceRule, ...], tuple[bool, list[str]]]] = []


def exceptions(found: Sequence[Rule]) -> tuple[bool, list[str]]:
    """Version 1: whether all is allowed by default, and what differs from that, a line each.

    Raises ContainerError where a kind of devices would be excepted from an exception.
    """
    start = _everything_allowed_at(found)
    different = _different(found[start:], default=True) if start is not None else None
    if different is not None:
        return True, different
    different = _different(found, default=False)
    if different is None:
        raise ContainerError(
            "linux.resources.devices: cgroup version 1 can't forbid a device out of a wider kind"
            " that is allowed: name what is allowed alone."
        )
    return False, different


def _everything_allowed_at(found: Sequence[Rule]) -> int | None:
    places = range(len(found) + 1)
    return next((place for place in places if is_everything_allowed(found[:place])), None)


def _different(found: Sequence[Rule], *, default: bool) -> list[str] | None:
    """None where an exception would have one of its own."""
    kinds: dict[Kind, int] = {}
    for rule in found:
        if rule.allow != default:
            kinds[rule.kind] = kinds.get(rule.kind, 0) | rule.access
            continue
        for kind, access in list(kinds.items()):
            if access & rule.access and _overlap(kind, rule.kind):
                if not _is_within(kind, rule.kind):
                    return None
                kinds[kind] = access & ~rule.access
    return [_text(kind, access) for kind, access in kinds.items() if access]


def _overlap(one: Kind, other: Kind) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def _is_within(inner: Kind, outer: Kind) -> bool:
    return all(b is None or a == b for a, b in zip(inner, outer, strict=True))


def _text(kind: Kind, access: int) -> str:
    """As devices.allow takes it."""
    kind_type, *numbers = kind
    major, minor = ("*" if number is None else number for number in numbers)
    letters = "".join(letter for letter, bit in _BITS.items() if access & bit)
    return f"{kind_type} {major}:{minor} {letters}"

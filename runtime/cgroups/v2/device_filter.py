"""Device rules of version 2 as an eBPF program.

The program applies the rules from the last to the first. Each rule that allows removes its accesses
from the requested ones. The program returns 1 (allow) once none is left, and 0 (deny) when a rule
denies one of those left, or at the end.
"""

from __future__ import annotations

from runtime.cgroups import device_rules
from runtime.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.device_rules import Rule

_TYPES = {"b": bpf.DEVICE_BLOCK, "c": bpf.DEVICE_CHARACTER}
_ACCESSES = (
    (device_rules.READ, bpf.ACCESS_READ),
    (device_rules.WRITE, bpf.ACCESS_WRITE),
    (device_rules.MKNOD, bpf.ACCESS_MKNOD),
)
_EVERY_ACCESS = bpf.ACCESS_READ | bpf.ACCESS_WRITE | bpf.ACCESS_MKNOD

# r2 holds the device's type, r3 the accesses that are not yet allowed, r4 and r5 major and minor.
_PROLOGUE = (
    bpf.instruction(bpf.LOAD_WORD, bpf.R2, bpf.R1, offset=0),
    bpf.instruction(bpf.MOVE_REGISTER, bpf.R3, bpf.R2),
    bpf.instruction(bpf.AND, bpf.R2, immediate=0xFFFF),
    bpf.instruction(bpf.SHIFT_RIGHT, bpf.R3, immediate=16),
    bpf.instruction(bpf.LOAD_WORD, bpf.R4, bpf.R1, offset=4),
    bpf.instruction(bpf.LOAD_WORD, bpf.R5, bpf.R1, offset=8),
)


def compose(rules: Sequence[Rule]) -> list[bytes]:
    """Return the program's instructions."""
    program = list(_PROLOGUE)
    for rule in reversed(rules):
        program += _block(rule)
    return program + _verdict(allow=False)


def _block(rule: Rule) -> list[bytes]:
    access = sum(theirs for ours, theirs in _ACCESSES if rule.access & ours)
    body = _allow(access) if rule.allow else _forbid(access)
    kind, major, minor = rule.kind
    for register, number in ((bpf.R5, minor), (bpf.R4, major), (bpf.R2, _TYPES[kind])):
        if number is not None:
            body.insert(0, _skip(bpf.JUMP_IF_NOT_EQUAL, register, number, len(body)))
    return body


def _allow(access: int) -> list[bytes]:
    yes = _verdict(allow=True)
    if access == _EVERY_ACCESS:
        return yes
    return [
        bpf.instruction(bpf.AND, bpf.R3, immediate=~access),
        _skip(bpf.JUMP_IF_NOT_EQUAL, bpf.R3, 0, len(yes)),
        *yes,
    ]


def _forbid(access: int) -> list[bytes]:
    no = _verdict(allow=False)
    return [
        bpf.instruction(bpf.MOVE_REGISTER, bpf.R1, bpf.R3),
        bpf.instruction(bpf.AND, bpf.R1, immediate=access),
        _skip(bpf.JUMP_IF_EQUAL, bpf.R1, 0, len(no)),
        *no,
    ]


def _verdict(*, allow: bool) -> list[bytes]:
    return [bpf.instruction(bpf.MOVE, bpf.R0, immediate=int(allow)), bpf.instruction(bpf.EXIT)]


def _skip(operation: int, register: int, number: int, count: int) -> bytes:
    """Return a jump over the next `count` instructions, taken if the comparison holds."""
    return bpf.instruction(operation, register, offset=count, immediate=number)

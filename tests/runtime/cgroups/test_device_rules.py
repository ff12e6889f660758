"""Device rules: the accesses that both versions allow."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import ContainerError
from runtime.cgroups import device_rules
from runtime.cgroups.v2 import device_filter
from runtime.linux import bpf
from runtime.spec.config import DeviceRule

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = DeviceRule(allow=False, access="rwm")
EVERYTHING = DeviceRule(allow=True, access="rwm")
TYPES = {"b": bpf.DEVICE_BLOCK, "c": bpf.DEVICE_CHARACTER}
BITS = {"r": bpf.ACCESS_READ, "w": bpf.ACCESS_WRITE, "m": bpf.ACCESS_MKNOD}


def interpreted(program: Sequence[bytes], kind: str, major: int, minor: int, access: str) -> bool:
    """Return the program's result, by an interpreter that follows the manual of eBPF."""
    requested = sum(BITS[letter] for letter in access)
    context = struct.pack("=III", TYPES[kind] | requested << 16, major, minor)
    registers = [0] * 11
    place = 0
    while True:
        operation, pair, offset, immediate = struct.unpack("<BBhi", program[place])
        target, source = pair & 15, pair >> 4
        place += 1
        if operation == bpf.LOAD_WORD:
            registers[target] = struct.unpack_from("=I", context, offset)[0]
        elif operation == bpf.MOVE_REGISTER:
            registers[target] = registers[source]
        elif operation == bpf.MOVE:
            registers[target] = immediate
        elif operation == bpf.AND:
            registers[target] &= immediate
        elif operation == bpf.SHIFT_RIGHT:
            registers[target] >>= immediate
        elif operation == bpf.JUMP_IF_EQUAL:
            place += offset if registers[target] == immediate else 0
        elif operation == bpf.JUMP_IF_NOT_EQUAL:
            place += offset if registers[target] != immediate else 0
        elif operation == bpf.EXIT:
            return bool(registers[0])
        else:
            raise AssertionError(operation)


def v2(rules: Sequence[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    return interpreted(device_filter.compose(device_rules.rules(rules)), kind, major, minor, access)


def expected(rules: Sequence[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    """Return the result by the specification: the last rule that matches an access decides."""

    def allowed(letter: str) -> bool:
        verdict = False
        for rule in rules:
            if (
                letter in rule.access
                and rule.type in {"", "a", kind}
                and rule.major in {None, -1, major}
                and rule.minor in {None, -1, minor}
            ):
                verdict = rule.allow
        return verdict

    return all(allowed(letter) for letter in access)


DEFAULTS = [
    *(DeviceRule(allow=True, type=kind, access="m") for kind in "bc"),
    *(
        DeviceRule(allow=True, type="c", major=major, minor=minor, access="rwm")
        for major, minor in (
            (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None), (10, 200),
        )
    ),
]  # fmt: skip
NUMBERS = st.sampled_from([None, 1, 3, 10, 229])
RULES = st.lists(
    st.builds(
        DeviceRule,
        allow=st.booleans(),
        type=st.sampled_from(["", "a", "b", "c"]),
        major=NUMBERS,
        minor=NUMBERS,
        access=st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"]),
    ),
    max_size=6,
)
ACCESSES = ["r", "w", "m", "rw", "rwm"]


@given(RULES)
def test_the_program_says_what_the_rules_say(rules: list[DeviceRule]) -> None:
    program = device_filter.compose(device_rules.rules(rules))
    for kind, major, minor, access in itertools.product("bc", (1, 10), (3, 229), ACCESSES):
        assert interpreted(program, kind, major, minor, access) == expected(
            [*rules, *DEFAULTS], kind, major, minor, access
        )


@given(RULES)
def test_version_1s_exceptions_say_the_same_or_are_refused(rules: list[DeviceRule]) -> None:
    try:
        default, different = device_rules.exceptions(device_rules.rules(rules))
    except ContainerError:
        assert any(not rule.allow for rule in rules)
        return
    for kind, major, minor, access in itertools.product("bc", (1, 10), (3, 229), "rwm"):
        matched = any(
            access in letters
            and kind == their_kind
            and numbers.split(":")[0] in {"*", str(major)}
            and numbers.split(":")[1] in {"*", str(minor)}
            for their_kind, numbers, letters in (line.split() for line in different)
        )
        assert (matched != default) == expected([*rules, *DEFAULTS], kind, major, minor, access)


def test_without_rules_there_are_the_default_devices_and_no_others() -> None:
    for rules in ([], [NOTHING]):
        assert v2(rules, "c", 1, 3, "rw")
        assert v2(rules, "c", 136, 9, "rw")
        assert v2(rules, "b", 8, 0, "m")
        assert not v2(rules, "b", 8, 0, "r")
        assert not v2(rules, "c", 10, 229, "r")
        default, different = device_rules.exceptions(device_rules.rules(rules))
        assert not default
        assert "c 1:3 rwm" in different
        assert "c *:* m" in different


def test_a_privileged_container_may_everything() -> None:
    composed = device_rules.rules([NOTHING, EVERYTHING])
    assert device_rules.is_everything_allowed(composed)
    assert device_rules.exceptions(composed) == (True, [])


def test_a_hole_in_what_is_allowed_is_one_in_version_2_and_refused_in_version_1() -> None:
    wide = DeviceRule(allow=True, type="b", access="rw")
    hole = DeviceRule(allow=False, type="b", major=8, minor=0, access="w")
    assert v2([wide, hole], "b", 8, 1, "rw")
    assert v2([wide, hole], "b", 8, 0, "r")
    assert not v2([wide, hole], "b", 8, 0, "rw")
    with pytest.raises(ContainerError, match="version 1"):
        device_rules.exceptions(device_rules.rules([wide, hole]))
    assert device_rules.exceptions(device_rules.rules([EVERYTHING, hole])) == (True, ["b 8:0 w"])


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (DeviceRule(allow=True, type="p", access="r"), r"devices\[0\]\.type"),
        (DeviceRule(allow=True, type="c", access=""), r"devices\[0\]\.access"),
        (DeviceRule(allow=True, type="c", access="rx"), r"devices\[0\]\.access"),
        (DeviceRule(allow=True, type="c", major=1 << 31, access="r"), r"devices\[0\]\.major"),
        (DeviceRule(allow=True, type="c", minor=-2, access="r"), r"devices\[0\]\.minor"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_place(rule: DeviceRule, reason: str) -> None:
    with pytest.raises(ContainerError, match=reason):
        device_rules.rules([rule])

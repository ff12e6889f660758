"""The optimizer: the new program returns the same results as the old one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from runtime import default_spec
from runtime.linux import seccomp as kernel
from runtime.seccomp import compiler
from runtime.seccomp.range_optimizer import condense
from tests.runtime.seccomp import bpf

if TYPE_CHECKING:
    import pytest

Instruction = tuple[int, int, int, int]
ARCHITECTURES = (0xC000003E, 0x40000003, 0xC00000B7)
EDGES = (0, 1, 0x3FFFFFFF, 0x40000000, 0x40000001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
COMPARISONS = (kernel.JUMP_EQUAL, kernel.JUMP_GREATER, kernel.JUMP_GREATER_OR_EQUAL)
ARGUMENT, UPPER_HALF = 16, 4
JUMP_IF_SET = 0x45


def packed(*instructions: Instruction) -> bytes:
    return b"".join(struct.pack(kernel.INSTRUCTION, *each) for each in instructions)


def unpacked(program: bytes) -> list[Instruction]:
    return list(struct.iter_unpack(kernel.INSTRUCTION, program))


def alike(program: bytes, other: bytes) -> bool:
    """Return True if both programs return the same below, at and above all numbers they compare."""
    compared = {operand for code, *_, operand in unpacked(program + other) if code & 7 == 5}
    near = {each + step & 0xFFFFFFFF for each in compared for step in (-1, 0, 1)} | set(EDGES)
    return all(
        bpf.run(program, architecture, number, *arguments)
        == bpf.run(other, architecture, number, *arguments)
        for architecture in (*ARCHITECTURES, *EDGES[:2])
        for number in near
        for arguments in ((0, 0), (number, 7), (0xFFFFFFFFFFFFFFFF, 1))
    )


@st.composite
def programs(draw: st.DrawFn) -> bytes:
    """Draw a program that ends, of the instructions that libseccomp uses and a few more."""
    length = draw(st.integers(1, 40))
    numbers = st.sampled_from([*range(8), *EDGES, *ARCHITECTURES])
    values = st.sampled_from([kernel.RET_ALLOW, kernel.RET_ERRNO | 1, kernel.RET_KILL_PROCESS])
    optimized: list[Instruction] = [(kernel.LOAD_WORD, 0, 0, draw(st.sampled_from([0, 4])))]
    for place in range(1, length):
        ways = st.integers(0, length - place - 1)
        optimized.append(
            draw(
                st.one_of(
                    st.tuples(st.sampled_from(COMPARISONS), ways, ways, numbers),
                    st.tuples(st.just(JUMP_IF_SET), ways, ways, numbers),
                    st.tuples(
                        st.just(kernel.LOAD_WORD), st.just(0), st.just(0),
                        st.sampled_from([kernel.DATA_NUMBER, kernel.DATA_ARCHITECTURE, ARGUMENT,
                                         ARGUMENT + UPPER_HALF, ARGUMENT + 2 * UPPER_HALF]),
                    ),
                    st.tuples(st.just(bpf.AND), st.just(0), st.just(0), numbers),
                    st.tuples(st.just(kernel.JUMP), st.just(0), st.just(0), ways),
                    st.tuples(st.just(kernel.RETURN), st.just(0), st.just(0), values),
                )
            )
        )  # fmt: skip
    return packed(*optimized, (kernel.RETURN, 0, 0, draw(values)))


@given(programs())
def test_every_program_answers_as_it_did(program: bytes) -> None:
    assert alike(program, condense(program))


def test_the_default_profile_is_a_third_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = default_spec(["true"]).linux.seccomp
    assert profile
    optimized, _ = compiler.build(profile, lambda _: None)
    monkeypatch.setattr(compiler, "condense", lambda program: program)
    before, _ = compiler.build(profile, lambda _: None)
    assert alike(before.program, optimized.program)
    assert len(optimized.program) <= len(before.program) / 3


def test_what_lies_far_is_reached() -> None:
    """There are more results than a jump can pass over, for two architectures."""
    many = 1500
    compared = [
        instruction
        for number in range(many)
        for instruction in (
            (kernel.JUMP_EQUAL, 0, 1, number),
            (kernel.RETURN, 0, 0, kernel.RET_ERRNO | number // 2),
        )
    ]
    program = packed(
        (kernel.LOAD_WORD, 0, 0, kernel.DATA_ARCHITECTURE),
        (kernel.JUMP_EQUAL, 2, 0, ARCHITECTURES[0]),
        (kernel.JUMP_EQUAL, 1, 0, ARCHITECTURES[1]),
        (kernel.RETURN, 0, 0, kernel.RET_KILL_PROCESS),
        (kernel.LOAD_WORD, 0, 0, kernel.DATA_NUMBER),
        *compared,
        (kernel.RETURN, 0, 0, kernel.RET_ALLOW),
    )
    optimized = condense(program)
    assert len(optimized) < len(program)
    assert any(code == kernel.JUMP for code, *_ in unpacked(optimized))
    for architecture in ARCHITECTURES:
        for number in range(many + 10):
            assert bpf.run(program, architecture, number) == bpf.run(
                optimized, architecture, number
            )

"""Traced steps of a child: their order, their times, and a filter that refuses the clock."""

from __future__ import annotations

import errno
import os
import time

from runtime.launcher import spawn
from runtime.launcher.program import Block, Program
from runtime.launcher.tracing import Steps
from runtime.linux import prctl, seccomp, syscalls

# A filter that refuses clock_gettime(2) and allows the rest. (seccomp(2), struct seccomp_data)
_REFUSES_THE_CLOCK = b"".join(
    code.to_bytes(2, "little") + bytes((yes, no)) + value.to_bytes(4, "little")
    for code, yes, no, value in (
        (seccomp.LOAD_WORD, 0, 0, seccomp.DATA_NUMBER),
        (seccomp.JUMP_EQUAL, 0, 1, syscalls.CLOCK_GETTIME),
        (seccomp.RETURN, 0, 0, seccomp.RET_ERRNO | errno.EPERM),
        (seccomp.RETURN, 0, 0, seccomp.RET_ALLOW),
    )
)


def traced(*names: str, filtered: bool = False) -> list[tuple[str, int]]:
    """Return the steps of a child that only begins them, after one of this process."""
    with Steps() as steps:
        steps.begin("ours")
        program = Program()
        steps.watch(program)
        for number, name in enumerate(names):
            program.step(name)
            if filtered and not number:
                program.call("forbid", syscalls.PRCTL, prctl.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                block = Block((4).to_bytes(8, "little") + bytes(8), {8: Block(_REFUSES_THE_CLOCK)})
                program.call("filter", syscalls.SECCOMP, seccomp.SET_MODE_FILTER, 0, block)
        program.call("exit", syscalls.EXIT_GROUP, 3)
        with spawn.Executable(2) as file, spawn.Launch() as launch:
            file.fill(program)
            steps.watch(launch)
            child = spawn.spawn(launch, file, kept=[steps.report])
            _, status = os.waitpid(child.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        os.close(child.pidfd)
        return steps.begun()


def test_steps_are_recorded_in_their_order_by_one_clock() -> None:
    before_ns = time.monotonic_ns()
    begun = traced("first", "second", "third")
    assert [name for name, _ in begun] == ["ours", "first", "second", "third"]
    times = [before_ns, *(at_ns for _, at_ns in begun), time.monotonic_ns()]
    assert times == sorted(times)


def test_a_step_behind_a_filter_that_refuses_the_clock_is_left_out() -> None:
    assert [name for name, _ in traced("before", "behind", filtered=True)] == ["ours", "before"]

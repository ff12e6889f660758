"""Programs of system calls, carried out by a child."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ContainerError
from runtime.launcher import spawn
from runtime.launcher.program import REPORT, Block, Label, Program, strings
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def spawned(program: Program, report: int, *kept: int) -> Iterator[spawn.Child]:
    with spawn.Launch() as launch:
        with spawn.Executable(report) as file:
            file.fill(program)
            child = spawn.spawn(launch, file, kept=kept)
        yield child


def run(program: Program) -> tuple[int, tuple[str, int] | None]:
    """Return the child's exit code, and the call that failed with its errno."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with spawned(program, writing) as child:
        os.close(writing)
        report = os.read(reading, REPORT.size)
        _, status = os.waitpid(child.pid, 0)
        os.close(reading)
        os.close(child.pidfd)
        return os.waitstatus_to_exitcode(status), child.failure(report) if report else None


def leave(program: Program, code: int) -> None:
    program.call("exit", syscalls.EXIT_GROUP, code)


def test_calls_are_made_in_their_order_with_results_passed_on(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "output")
    program = Program()
    file = program.call("open", syscalls.OPENAT, AT_FDCWD, path, os.O_WRONLY | os.O_CREAT, 0o600)
    program.call("write", syscalls.WRITE, file, b"hello ", 6)
    program.call("write", syscalls.WRITE, file, b"world", 5)
    leave(program, 3)
    assert run(program) == (3, None)
    assert (tmp_path / "output").read_text() == "hello world"


def test_it_execs_with_arguments_and_environment(tmp_path: Path) -> None:
    output = tmp_path / "output"
    program = Program()
    script = b'echo "$0 $1 $NAME" >' + os.fsencode(output)
    program.call(
        "run sh", syscalls.EXECVE, b"/bin/sh", strings([b"sh", b"-c", script, b"a", b"b"]),
        strings([b"NAME=value"]),
    )  # fmt: skip
    assert run(program) == (0, None)
    assert output.read_text() == "a b value\n"


def test_the_call_that_failed_is_reported() -> None:
    program = Program()
    program.call("enter /", syscalls.CHDIR, b"/")
    program.call("enter the moon", syscalls.CHDIR, b"/the/moon")
    leave(program, 0)
    assert run(program) == (127, ("enter the moon", errno.ENOENT))


def test_a_failure_before_the_program_is_reported_too() -> None:
    program = Program()
    leave(program, 0)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with spawn.Executable(writing) as file, spawn.Launch() as launch:
        launch.call("enter the moon", syscalls.CHDIR, b"/the/moon")
        file.fill(program)
        child = spawn.spawn(launch, file)
        os.close(writing)
        assert child.failure(os.read(reading, REPORT.size)) == ("enter the moon", errno.ENOENT)
        os.waitpid(child.pid, 0)
    os.close(reading)
    os.close(child.pidfd)


def test_its_executable_is_not_the_interpreter_and_cannot_be_written(tmp_path: Path) -> None:
    program = Program()
    gate = os.pipe2(os.O_CLOEXEC)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    program.call("write", syscalls.WRITE, writing, b"x", 1)
    program.call("wait", syscalls.READ, gate[0], Block(bytes(8)), 1)
    leave(program, 0)
    with spawned(program, writing, gate[0]) as child:
        assert os.read(reading, 1) == b"x"
        link = f"/proc/{child.pid}/exe"
        assert os.readlink(link).startswith("/memfd:tonnage-init")  # noqa: PTH115
        with pytest.raises(OSError, match=r"Operation not permitted|Text file busy"):
            os.write(os.open(link, os.O_WRONLY), b"x")
        os.write(gate[1], b"x")
        os.waitpid(child.pid, 0)
    for descriptor in (*gate, reading, writing, child.pidfd):
        os.close(descriptor)


def test_a_failure_that_cannot_be_reported_ends_the_child_too() -> None:
    program = Program()
    program.call("close the report", syscalls.CLOSE_RANGE, 3, 0xFFFFFFFF, 0)
    program.call("enter the moon", syscalls.CHDIR, b"/the/moon")
    leave(program, 0)
    assert run(program) == (127, None)


def test_foreseen_errors_and_successes_jump_onwards() -> None:
    program = Program()
    first, second, end = Label(), Label(), Label()
    program.call(
        "one", syscalls.CHDIR, b"/no", foreseen=[(errno.EPERM, end), (errno.ENOENT, first)]
    )
    leave(program, 1)
    program.place(first)
    program.call("two", syscalls.CHDIR, b"/", then=second)
    leave(program, 2)
    program.place(second)
    program.call("three", syscalls.CHDIR, b"/no", foreseen=[(errno.ENOENT, end)])
    leave(program, 3)
    program.place(end)
    leave(program, 4)
    assert run(program) == (4, None)


@pytest.mark.parametrize("place", range(3))
def test_each_of_three_foreseen_errors_jumps_to_its_own_label(place: int) -> None:
    program = Program()
    labels = [Label(), Label(), Label()]
    codes = [errno.EPERM, errno.EIO, errno.ELOOP]
    codes[place] = errno.ENOENT
    program.call(
        "enter the moon", syscalls.CHDIR, b"/no", foreseen=list(zip(codes, labels, strict=True))
    )
    leave(program, 10)
    for number, label in enumerate(labels):
        program.place(label)
        leave(program, number)
    assert run(program) == (place, None)


def test_an_error_beside_three_foreseen_errors_is_reported() -> None:
    program = Program()
    end = Label()
    foreseen = [(code, end) for code in (errno.EPERM, errno.EIO, errno.ELOOP)]
    program.call("enter the moon", syscalls.CHDIR, b"/no", foreseen=foreseen)
    program.place(end)
    leave(program, 4)
    assert run(program) == (127, ("enter the moon", errno.ENOENT))


def test_results_and_pointers_are_put_into_blocks() -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    program = Program()
    descriptor = program.call("open", syscalls.OPENAT, AT_FDCWD, b"/", os.O_PATH)
    block = Block(bytes(16), {8: Block(b"inner")}, {0: descriptor})
    program.call("write", syscalls.WRITE, writing, block, 16)
    leave(program, 0)
    os.set_inheritable(writing, True)
    assert run(program) == (0, None)
    os.close(writing)
    written = os.read(reading, 100)
    os.close(reading)
    assert int.from_bytes(written[:8], "little") > 2
    assert int.from_bytes(written[8:], "little") > 0


def test_a_part_is_copied_for_equal_inputs_at_the_same_address() -> None:
    written: list[bytes] = []

    def write(program: Program, directory: bytes) -> str:
        written.append(directory)
        program.call("enter", syscalls.CHDIR, directory)
        return "result"

    def program_with(directory: bytes) -> Program:
        program = Program()
        assert program.part(write, directory) == "result"
        return program

    first, second, third = program_with(b"/"), program_with(b"/"), program_with(b"/tmp")
    assert written == [b"/", b"/tmp"]
    assert (first.calls, first.data, first.names) == (second.calls, second.data, second.names)
    assert third.data != first.data


def test_a_program_with_too_many_calls_is_refused() -> None:
    program = Program(base=0, data_base=1024)
    for _ in range(10):
        leave(program, 0)
    with pytest.raises(ContainerError, match="needs 10 system calls, more than there is room for"):
        program.finish(2)

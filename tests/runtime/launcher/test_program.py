"""Programs for a child: what the loop of machine instructions makes of them."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runtime.launcher import machine_code, spawn
from runtime.launcher.program import REPORT, Block, Label, Program, strings
from runtime.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_FDCWD = -100
ASSEMBLERS = {"x86_64": "as", "aarch64": "aarch64-linux-gnu-as"}


@contextmanager
def spawned(program: Program, report: int, *kept: int) -> Iterator[spawn.Child]:
    with spawn.Launch() as launch:
        with spawn.Executable(report) as file:
            file.fill(program)
            child = spawn.spawn(launch, file, kept=kept)
        yield child


def run(program: Program) -> tuple[int, tuple[str, int] | None]:
    """The child's exit code, and what it could not do."""
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
    path = os.fsencode(tmp_path / "said")
    program = Program()
    file = program.call("open", syscalls.OPENAT, AT_FDCWD, path, os.O_WRONLY | os.O_CREAT, 0o600)
    program.call("write", syscalls.WRITE, file, b"hello ", 6)
    program.call("write", syscalls.WRITE, file, b"world", 5)
    leave(program, 3)
    assert run(program) == (3, None)
    assert (tmp_path / "said").read_text() == "hello world"


def test_it_execs_with_arguments_and_environment(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = Program()
    script = b'echo "$0 $1 $NAME" >' + os.fsencode(said)
    program.call(
        "run sh", syscalls.EXECVE, b"/bin/sh", strings([b"sh", b"-c", script, b"a", b"b"]),
        strings([b"NAME=value"]),
    )  # fmt: skip
    assert run(program) == (0, None)
    assert said.read_text() == "a b value\n"


def test_the_call_that_failed_is_told() -> None:
    program = Program()
    program.call("enter /", syscalls.CHDIR, b"/")
    program.call("enter the moon", syscalls.CHDIR, b"/the/moon")
    leave(program, 0)
    assert run(program) == (127, ("enter the moon", errno.ENOENT))


def test_what_fails_before_the_program_is_told_as_well() -> None:
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
    program.call("say so", syscalls.WRITE, writing, b"x", 1)
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


def test_a_failure_that_cannot_be_told_ends_it_all_the_same() -> None:
    program = Program()
    program.call("close what failures are told to", syscalls.CLOSE_RANGE, 3, 0xFFFFFFFF, 0)
    program.call("enter the moon", syscalls.CHDIR, b"/the/moon")
    leave(program, 0)
    assert run(program) == (127, None)


def test_foreseen_errors_and_successes_lead_onwards() -> None:
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
def test_each_of_three_foreseen_errors_leads_to_its_own_place(place: int) -> None:
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


def test_an_error_beside_three_foreseen_ones_is_told() -> None:
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
    said = os.read(reading, 100)
    os.close(reading)
    assert int.from_bytes(said[:8], "little") > 2
    assert int.from_bytes(said[8:], "little") > 0


@pytest.mark.parametrize("machine", ASSEMBLERS)
def test_the_machine_code_is_what_its_listing_says(machine: str, tmp_path: Path) -> None:
    assembler = ASSEMBLERS[machine]
    objcopy = assembler.removesuffix("as") + "objcopy"
    if machine == platform.machine():
        assembler, objcopy = "as", "objcopy"
    if not shutil.which(assembler):
        pytest.skip(f"{assembler} is not installed")
    rows = [
        line.split(maxsplit=1) for line in machine_code._CODE[machine].split("\n") if line.strip()
    ]
    syntax = ".intel_syntax noprefix\n" if machine == "x86_64" else ""
    source = tmp_path / "loop.s"
    source.write_text(syntax + "\n".join(words for _, words in rows) + "\n")
    subprocess.run([assembler, source, "-o", tmp_path / "loop.o"], check=True)
    subprocess.run(
        [objcopy, "-O", "binary", "-j", ".text", tmp_path / "loop.o", tmp_path / "loop"], check=True
    )
    assert (tmp_path / "loop").read_bytes().hex() == "".join(code for code, _ in rows)

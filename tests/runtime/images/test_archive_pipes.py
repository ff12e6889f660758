from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest

from runtime.errors import InvalidConfig
from runtime.images import archive_pipes
from runtime.images.archive_pipes import Ended


def output(program: str) -> tuple[bytes, Ended]:
    """Return what a Python program writes, and how it ended."""
    ended = []

    def pieces() -> Generator[bytes, None, None]:
        ended.append((yield from archive_pipes.read([sys.executable, "-IS", "-c", program])))

    return b"".join(pieces()), ended[0]


def reader(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-IS", "-c", program], stdin=subprocess.PIPE)


@pytest.fixture
def ended_reader() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has ended, though its writer does not know yet."""
    with reader("") as process:
        process.wait()
        yield process


def refused() -> Iterator[bytes]:
    yield b"x" * 1024  # less than the buffer: it is written when the pipe is closed
    raise InvalidConfig("wrong digest")


def test_a_program_may_write_more_errors_than_a_pipe_holds() -> None:
    program = "import sys; sys.stderr.write('e' * 300_000); print('archive'); sys.exit(3)"
    archive, ended = output(program)
    assert archive == b"archive\n"
    assert (ended.exit_code, len(ended.words)) == (3, 300_000)


def test_a_program_is_ended_with_its_reader() -> None:
    pieces = archive_pipes.read(["cat", "/dev/zero"])
    assert not next(pieces).strip(b"\0")
    pieces.close()


def test_an_error_of_the_pieces_is_that_of_the_caller(
    ended_reader: subprocess.Popen[bytes],
) -> None:
    with ended_reader, pytest.raises(InvalidConfig, match="wrong digest"):
        archive_pipes.write(ended_reader, refused())


def test_an_error_of_the_pieces_kills_the_reader() -> None:
    with (
        reader("import time; time.sleep(60)") as process,
        pytest.raises(InvalidConfig, match="wrong digest"),
    ):
        archive_pipes.write(process, refused())
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_reader_that_refuses_the_archive_is_no_error(
    ended_reader: subprocess.Popen[bytes], size: int
) -> None:
    with ended_reader:
        archive_pipes.write(ended_reader, [b"x" * size] * 2)
    assert ended_reader.stdin and ended_reader.stdin.closed


def test_a_broken_pipe_of_the_pieces_is_not_taken_for_a_refusal() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise BrokenPipeError

    with reader("import sys; sys.stdin.read()") as process, pytest.raises(BrokenPipeError):
        archive_pipes.write(process, pieces())


def test_everything_is_written() -> None:
    with reader("import sys; sys.exit(len(sys.stdin.buffer.read()) != 300_000)") as process:
        archive_pipes.write(process, [b"x" * 100_000] * 3)
    assert process.returncode == 0

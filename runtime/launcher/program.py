"""A program for a child process to carry out between clone and exec: a table of system calls.

The parent writes the table, with all arguments encoded. A loop of a few machine instructions
(runtime.launcher.machine_code) makes the calls, so that no Python runs in the child, which does not
even need a copy of the parent's memory.

A call may use the result of an earlier call. It may skip calls that follow it, on success or on an
errno that was foreseen. Any other error ends the child, which reports the call to the parent.

    program = Program()
    file = program.call("open /etc/motd", syscalls.OPENAT, AT_FDCWD, b"/etc/motd", os.O_RDONLY)
    program.call("make it stdin", syscalls.DUP3, file, 0, 0)
"""

from __future__ import annotations

import os
from _struct import Struct

from runtime.errors import ContainerError
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Argument: TypeAlias = "int | bytes | Result | Block | None"

# The addresses of a program in an executable file: its calls, with room for half a million of them,
# and then the data that they point to. They are fixed, so that a pointer is known when it is added.
CALLS, DATA = 0x10010000, 0x14010000
# A call: its number, six arguments, two addresses to store the result at, the distance to the next
# call on success; then three foreseen errnos, each with the distance to the next call.
CALL_BYTES = 16 * 8
_CALL = [Struct(f"<Q{count}q{8 * (6 - count)}x3Q48x") for count in range(7)]
_RESULT, _THEN, _FORESEEN = 7 * 8, 9 * 8, 10 * 8
# The head of the table: the errno and the address of the call that failed; the addresses of the
# first call and of the calls that report a failure; two words for results that are not used.
_HEAD = Struct("<6Q")
_UNUSED = 4 * 8
REPORT = Struct("<2Q")
_WORD = Struct("<Q")
_CHILD_FAILED = 127


class Label:
    """A place in a program to which earlier calls can jump."""

    __slots__ = ("jumps",)

    def __init__(self) -> None:
        self.jumps: list[tuple[int, int]] = []  # offsets of calls, and of the distances in them


class Result:
    """The value that a call will return; it can be used twice.

    `place` is the offset of the addresses that the call stores it at. Results of the same call in
    two programs are equal.
    """

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place

    def __eq__(self, other: object) -> bool:
        return type(other) is Result and other.place == self.place

    def __hash__(self) -> int:
        return self.place


class Block:
    """Memory that calls point to: bytes, in which pointers and results are filled in at offsets."""

    __slots__ = ("address", "content", "pointers", "results")

    def __init__(
        self,
        content: bytes,
        pointers: Mapping[int, Block] | None = None,
        results: Mapping[int, Result] | None = None,
    ) -> None:
        self.content = content
        self.pointers = pointers
        self.results = results
        self.address = 0


class Program:
    """System calls in the order in which they are made.

    `calls` is the table in memory from the address `base` on, `data` the memory from `data_base` on
    that it points to, `names` has the purpose of each call.
    """

    def __init__(self, base: int = CALLS, data_base: int = DATA) -> None:
        self.base = base
        self.data_base = data_base
        self.calls = bytearray(_HEAD.size)
        self.data = bytearray()
        self.names: list[str] = []
        self.trace: Callable[[Program, str], None] | None = None  # records steps, if set
        self._strings: dict[bytes, int] = {}
        self._passed_on: list[tuple[int, int]] = []

    def call(
        self,
        what: str,
        number: int,
        *arguments: Argument,
        then: Label | None = None,
        foreseen: Iterable[tuple[int, Label]] = (),
    ) -> Result:
        """Add a call; `what` completes the sentence "can't …", for errors.

        A success jumps to `then`, if given. `foreseen` are up to three errnos, each with the label
        that it jumps to. Bytes are passed by their address, and ended by a NUL.
        """
        start = len(self.calls)
        self.names.append(what)
        self._append(number, arguments)
        if then:
            then.jumps.append((start, start + _THEN))
        for number_of_errno, (errno, label) in enumerate(foreseen):
            at = start + _FORESEEN + number_of_errno * 2 * _WORD.size
            _WORD.pack_into(self.calls, at, errno)
            label.jumps.append((start, at + _WORD.size))
        return Result(start + _RESULT)

    def overrule(self, call: Result, distance: Result) -> None:
        """Make the result of an earlier call, if it was made, the jump of this call on success."""
        self._pass_on(distance, self.base + call.place - _RESULT + _THEN)

    def text(self, content: bytes) -> int:
        """Return the address of bytes and a NUL, to be passed in place of the bytes.

        A part that is given the address instead of the bytes can be reused for other bytes.
        """
        if content not in self._strings:
            self._strings[content] = self._put(content)
        return self._strings[content]

    def step(self, name: str) -> None:
        """Begin a step of this name, which a traced program records. (runtime.launcher.tracing)"""
        if self.trace:
            self.trace(self, name)

    def place(self, label: Label) -> None:
        """Put a label before the next call."""
        for start, at in label.jumps:
            _WORD.pack_into(self.calls, at, len(self.calls) - start)

    def part(self, write: Callable[..., T], *inputs: object) -> T:
        """Call `write(program, *inputs)`, or copy the calls that it added to an earlier program.

        Calls are copied if the function was called last with equal inputs at the same address: the
        configurations of containers that are created in a row differ little. So what it adds and
        returns must depend on the inputs alone, which may be results of earlier calls.
        """
        if self.trace:
            return write(self, *inputs)
        position = (self.base, len(self.calls), len(self.data))
        latest = _latest.get(write)
        if latest and latest.position == position and latest.inputs == inputs:
            latest.add_to(self)
        else:
            latest = _latest[write] = _Part(self, write, inputs)
        returned: T = latest.returned
        return returned

    def finish(self, report: int) -> None:
        """End the program with the calls that write a failure to the descriptor `report`.

        Raise ContainerError if it has too many calls.
        """
        failing = self.base + len(self.calls)
        # The loop has stored the errno and the address of the call at the head of the table.
        self._append(syscalls.WRITE, (report, self.base, REPORT.size))
        self._append(syscalls.EXIT_GROUP, (_CHILD_FAILED,))
        _HEAD.pack_into(self.calls, 0, 0, 0, self.base + _HEAD.size, failing, 0, 0)
        if len(self.calls) > self.data_base - self.base:
            raise ContainerError(
                f"The configuration needs {len(self.names)} system calls, more than there is room"
                " for: shorten it."
            )

    def _append(self, number: int, arguments: Sequence[Argument]) -> None:
        start = len(self.calls) + _WORD.size
        words = [
            each if type(each) is int else self._word(each, start + place * _WORD.size)
            for place, each in enumerate(arguments)
        ]
        nowhere = self.base + _UNUSED
        self.calls += _CALL[len(words)].pack(number, *words, nowhere, nowhere, CALL_BYTES)

    def _word(self, argument: Argument, at: int) -> int:
        """Return an argument as it is passed; a result is stored in the table by its call."""
        if isinstance(argument, bytes):
            return self.text(argument)
        if isinstance(argument, Block):
            return argument.address or self._block(argument)
        if isinstance(argument, Result):
            self._pass_on(argument, self.base + at)
            return 0
        return argument or 0

    def _block(self, block: Block) -> int:
        block.address = address = self._put(block.content)
        for place, target in (block.pointers or {}).items():
            pointed = target.address or self._block(target)
            _WORD.pack_into(self.data, address - self.data_base + place, pointed)
        for place, result in (block.results or {}).items():
            self._pass_on(result, address + place)
        return address

    def _put(self, content: bytes) -> int:
        """Add bytes and a NUL to the data, aligned to words, and return their address."""
        address = self.data_base + len(self.data)
        self.data += content.ljust(len(content) + 8 & ~7, b"\0")
        return address

    def _pass_on(self, result: Result, address: int) -> None:
        unused = (self.base + _UNUSED,)
        for at in (result.place, result.place + _WORD.size):
            if _WORD.unpack_from(self.calls, at) == unused:
                _WORD.pack_into(self.calls, at, address)
                self._passed_on.append((at, address))
                return
        raise ValueError("a result can be used only twice")


class _Part:
    """The calls that a function added to a program, to be copied to the next program."""

    def __init__(
        self, program: Program, write: Callable[..., object], inputs: tuple[object, ...]
    ) -> None:
        """Call the function; its strings are not shared with those of other calls."""
        self.inputs = inputs
        self.position = (program.base, len(program.calls), len(program.data))
        names, passed_on = len(program.names), len(program._passed_on)
        others, program._strings = program._strings, {}
        self.returned: Any = write(program, *inputs)
        program._strings = others
        self._calls = program.calls[self.position[1] :]
        self._data = program.data[self.position[2] :]
        self._names = program.names[names:]
        # Only those of earlier calls: the others are in the copied table.
        self._passed_on = [
            each for each in program._passed_on[passed_on:] if each[0] < self.position[1]
        ]

    def add_to(self, program: Program) -> None:
        program.calls += self._calls
        program.data += self._data
        program.names += self._names
        program._passed_on += self._passed_on
        for at, address in self._passed_on:
            _WORD.pack_into(program.calls, at, address)


_latest: dict[Callable[..., object], _Part] = {}


def failure(report: bytes, names: Sequence[str], base: int) -> tuple[str, int] | None:
    """Return the name of the call that failed, and its errno; None if it is of another program."""
    code, place = REPORT.unpack(report)
    index = (place - base - _HEAD.size) // CALL_BYTES
    return (names[index], code) if 0 <= index < len(names) else None


def write_file(program: Program, what: str, path: bytes | int, value: object) -> None:
    """Write a value to a file of the kernel; the path may be a text of the program."""
    file = program.call(what, syscalls.OPENAT, AT_FDCWD, path, os.O_WRONLY | os.O_CLOEXEC)
    data = os.fsencode(str(value))
    program.call(what, syscalls.WRITE, file, data, len(data))
    program.call(what, syscalls.CLOSE, file)


def strings(words: Iterable[bytes]) -> Block:
    """Return an array of pointers to strings, ended by a null pointer. (execve(2))"""
    pointers = {place * 8: Block(word + b"\0") for place, word in enumerate(words)}
    return Block(bytes(8 * (len(pointers) + 1)), pointers)

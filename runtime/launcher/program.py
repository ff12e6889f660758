"""A program for a child process to run between clone and exec: a table of system calls.

The parent writes it down, every argument encoded; what carries it out is a loop of a few machine
instructions (runtime.launcher.spawn). So no Python runs in the child, which need not even have a
copy of the parent's memory.

A call may use what an earlier one returned, and may lead onwards past others, also where it fails
with an errno that was foreseen. One that fails otherwise ends the child; the parent is told which.

    program = Program()
    tree = program.call("open /src", syscalls.OPEN_TREE, AT_FDCWD, b"/src", OPEN_TREE_CLONE)
    program.call("mount /dst", syscalls.MOVE_MOUNT, tree, b"", AT_FDCWD, b"/dst", F_EMPTY_PATH)
"""

from __future__ import annotations

import os
from _struct import Struct

from runtime.errors import ContainerError
from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Argument: TypeAlias = "int | bytes | Result | Block | None"

# Where a program that is executed lies: its calls, and behind them, with room for half a million,
# what they point to. So every address is known as soon as there is something to point to.
CALLS, DATA = 0x10010000, 0x14010000
# The number, six arguments, two places for the result, and how far it is to the next call; then
# three errnos that were foreseen, each with how far it is to the next call.
CALL_BYTES = 16 * 8
_CALL = [Struct(f"<Q{count}q{8 * (6 - count)}x3Q48x") for count in range(7)]
_RESULT, _THEN, _FORESEEN = 7 * 8, 9 * 8, 10 * 8
# The errno and the place of the call that failed; the places of the first call and of those to make
# where one fails; and where results go that nobody uses.
_HEAD = Struct("<6Q")
_NOWHERE = 4 * 8
REPORT = Struct("<2Q")
_WORD = Struct("<Q")
_CHILD_FAILED = 127
_AT_FDCWD = -100


class Label:
    """A place in a program that calls before it can lead to."""

    __slots__ = ("leads",)

    def __init__(self) -> None:
        self.leads: list[tuple[int, int]] = []  # calls, and where in each the way is written


class Result:
    """What a call will return, for two later arguments at most; `place` is where it says to which.

    Equal to the result of the same call of another program.
    """

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place

    def __eq__(self, other: object) -> bool:
        return type(other) is Result and other.place == self.place

    def __hash__(self) -> int:
        return self.place


class Block:
    """Memory that calls point to: bytes, with places for pointers and for results in them."""

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
    """Calls in the order in which they are to be made.

    `calls` is the table of them as it is to lie in memory from `base` on, `data` what they point
    to, from `data_base` on; `names` are what they are to do.
    """

    def __init__(self, base: int = CALLS, data_base: int = DATA) -> None:
        self.base = base
        self.data_base = data_base
        self.calls = bytearray(_HEAD.size)
        self.data = bytearray()
        self.names: list[str] = []
        self.tell: Callable[[Program, str], None] | None = None  # if it is to tell its steps
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
        """Add a call; `what` completes the sentence "can't …".

        `then` is where a success leads, `foreseen` up to three errnos and where these lead. Bytes
        are passed by their address, with a NUL behind them.
        """
        start = len(self.calls)
        self.names.append(what)
        self._append(number, arguments)
        if then:
            then.leads.append((start, start + _THEN))
        for place, (errno, label) in enumerate(foreseen):
            at = start + _FORESEEN + place * 2 * _WORD.size
            _WORD.pack_into(self.calls, at, errno)
            label.leads.append((start, at + _WORD.size))
        return Result(start + _RESULT)

    def overrule(self, call: Result, lead: Result) -> None:
        """Have an earlier call's result, if that is made, be where this one's success leads."""
        self._pass_on(lead, self.base + call.place - _RESULT + _THEN)

    def text(self, content: bytes) -> int:
        """The address of bytes and a NUL behind them, for an argument that is as good as them.

        Parts are the same whatever the text is, if only its place is.
        """
        if content not in self._strings:
            self._strings[content] = self._put(content)
        return self._strings[content]

    def step(self, name: str) -> None:
        """A step of this name begins; only a program that is traced (launcher.tracing) cares."""
        if self.tell:
            self.tell(self, name)

    def place(self, label: Label) -> None:
        """Put a label before the next call."""
        for start, at in label.leads:
            _WORD.pack_into(self.calls, at, len(self.calls) - start)

    def part(self, write: Callable[..., T], *inputs: object) -> T:
        """What a function writes into a program, and what it returns: `write(program, *inputs)`.

        Both must come of the inputs alone, results of earlier calls among them. For containers are
        made in a row of configurations that differ in little; what the same function wrote last of
        equal inputs, at the same place, is taken as it is.
        """
        if self.tell:
            return write(self, *inputs)
        begun = (self.base, len(self.calls), len(self.data))
        latest = _latest.get(write)
        if latest and latest.begun == begun and latest.inputs == inputs:
            latest.add_to(self)
        else:
            latest = _latest[write] = _Part(self, write, inputs)
        returned: T = latest.returned
        return returned

    def finish(self, report: int) -> None:
        """No call comes behind; a failure is written to the descriptor `report`.

        Raises ContainerError if there are more than there is room for.
        """
        failing = self.base + len(self.calls)
        # Tell of the call that failed, as the loop has left it at the head of the program; exit.
        self._append(syscalls.WRITE, (report, self.base, REPORT.size))
        self._append(syscalls.EXIT_GROUP, (_CHILD_FAILED,))
        _HEAD.pack_into(self.calls, 0, 0, 0, self.base + _HEAD.size, failing, 0, 0)
        if len(self.calls) > self.data_base - self.base:
            raise ContainerError(
                f"The configuration asks for {len(self.names)} system calls, too many for a start."
            )

    def _append(self, number: int, arguments: Sequence[Argument]) -> None:
        start = len(self.calls) + _WORD.size
        words = [
            each if type(each) is int else self._word(each, start + place * _WORD.size)
            for place, each in enumerate(arguments)
        ]
        nowhere = self.base + _NOWHERE
        self.calls += _CALL[len(words)].pack(number, *words, nowhere, nowhere, CALL_BYTES)

    def _word(self, argument: Argument, at: int) -> int:
        """An argument as it is passed; a result comes to its place in the table later."""
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
        """The address of these bytes and a NUL behind them; words stay aligned."""
        address = self.data_base + len(self.data)
        self.data += content.ljust(len(content) + 8 & ~7, b"\0")
        return address

    def _pass_on(self, result: Result, address: int) -> None:
        unused = (self.base + _NOWHERE,)
        for at in (result.place, result.place + _WORD.size):
            if _WORD.unpack_from(self.calls, at) == unused:
                _WORD.pack_into(self.calls, at, address)
                self._passed_on.append((at, address))
                return
        raise ValueError("A result has been used twice already.")


class _Part:
    """What a function has added to a program, for the next one that is as far."""

    def __init__(
        self, program: Program, write: Callable[..., object], inputs: tuple[object, ...]
    ) -> None:
        """Have it added. What it points to is its own, not what was there for other calls."""
        self.inputs = inputs
        self.begun = (program.base, len(program.calls), len(program.data))
        names, passed_on = len(program.names), len(program._passed_on)
        others, program._strings = program._strings, {}
        self.returned: Any = write(program, *inputs)
        program._strings = others
        self._calls = program.calls[self.begun[1] :]
        self._data = program.data[self.begun[2] :]
        self._names = program.names[names:]
        # To calls that came before; what is passed on within is among its own already.
        self._passed_on = [
            each for each in program._passed_on[passed_on:] if each[0] < self.begun[1]
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
    """What a child could not do, and the errno, if it was one of these calls at that place."""
    code, place = REPORT.unpack(report)
    index = (place - base - _HEAD.size) // CALL_BYTES
    return (names[index], code) if 0 <= index < len(names) else None


def write_file(program: Program, what: str, path: bytes | int, value: object) -> None:
    """Have a value written to a file of the kernel's; its path may be a text of the program's."""
    file = program.call(what, syscalls.OPENAT, _AT_FDCWD, path, os.O_WRONLY | os.O_CLOEXEC)
    data = os.fsencode(str(value))
    program.call(what, syscalls.WRITE, file, data, len(data))
    program.call(what, syscalls.CLOSE, file)


def strings(words: Iterable[bytes]) -> Block:
    """An array of pointers to strings, ended by a null pointer. (execve(2))"""
    pointers = {place * 8: Block(word + b"\0") for place, word in enumerate(words)}
    return Block(bytes(8 * (len(pointers) + 1)), pointers)

"""A program for a child process to run between clone and exec: a table of system calls.

The parent writes it down, every argument encoded; what carries it out is a loop of a few machine
instructions (runtime.linux.spawn). So no Python runs in the child, which need not even have a copy
of the parent's memory.

A call may use what an earlier one returned, and may lead onwards past others, also where it fails
with an errno that was foreseen. One that fails otherwise ends the child; the parent is told which.

    program = Program()
    tree = program.call("open /src", syscalls.OPEN_TREE, AT_FDCWD, b"/src", OPEN_TREE_CLONE)
    program.call("mount /dst", syscalls.MOVE_MOUNT, tree, b"", AT_FDCWD, b"/dst", F_EMPTY_PATH)
"""

from __future__ import annotations

from _struct import Struct

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    Argument: TypeAlias = "int | bytes | Result | Block | None"

# The number, six arguments, two places for the result, and how far it is to the next call; then
# two errnos that were foreseen, each with how far it is to the next call, and two words to spare.
CALL_BYTES = 16 * 8
# The errno and the place of the call that failed; the places of the first call and of those to make
# where one fails.
_HEAD = Struct("<4Q")
REPORT = Struct("<2Q")
_POINTER = Struct("<Q")
_ZEROES = (0,) * 6
_ONWARDS = (CALL_BYTES, 0, 0, 0, 0, 0, 0)
_MASK = (1 << 64) - 1
_CHILD_FAILED = 127


class Label:
    """A place in a program that calls before it can lead to."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = -1


class Result:
    """What a call will return, for two later arguments at most."""

    __slots__ = ("uses",)

    def __init__(self) -> None:
        self.uses: list[tuple[int | Block, int]] = []


class Block:
    """Memory that calls point to: bytes, with places for pointers and for results in them."""

    __slots__ = ("content", "offset", "pointers")

    def __init__(
        self,
        content: bytes,
        pointers: Mapping[int, Block] | None = None,
        results: Mapping[int, Result] | None = None,
    ) -> None:
        self.content = content
        self.pointers = pointers or {}
        self.offset = -1
        for place, result in (results or {}).items():
            result.uses.append((self, place))


class Program:
    """Calls in the order in which they are to be made."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, int, tuple[Argument, ...], Result]] = []
        self._leads: dict[int, tuple[Label | None, tuple[tuple[int, Label], ...]]] = {}
        self._layout: tuple[dict[bytes, int], list[Block], int] | None = None

    def call(
        self,
        what: str,
        number: int,
        *arguments: Argument,
        then: Label | None = None,
        foreseen: Iterable[tuple[int, Label]] = (),
    ) -> Result:
        """Add a call; `what` completes the sentence "can't …".

        `then` is where a success leads, `foreseen` up to two errnos and where these lead. Bytes
        are passed by their address, with a NUL behind them.
        """
        result = Result()
        for place, argument in enumerate(arguments):
            if isinstance(argument, Result):
                argument.uses.append((len(self._calls), place))
        if then or foreseen:
            self._leads[len(self._calls)] = then, tuple(foreseen)
        self._calls.append((what, number, arguments, result))
        return result

    def step(self, name: str) -> None:
        """A step of this name begins; only a program that tells its steps (runtime.steps) cares."""

    def place(self, label: Label) -> None:
        """Put a label before the next call."""
        label.index = len(self._calls)

    def size(self) -> int:
        """How many bytes it takes in memory."""
        return self._laid_out()[2] + _POINTER.size

    def assemble(self, base: int, report: int) -> Table:
        """The program as it is to lie in memory from `base` on.

        A failure is written to the descriptor `report`.
        """
        calls = [*self._calls, *_on_failure(report)]
        strings, blocks, end = self._laid_out()
        table = bytearray(end + _POINTER.size)
        first = base + _HEAD.size
        _HEAD.pack_into(table, 0, 0, 0, first, first + len(self._calls) * CALL_BYTES)
        for string, offset in strings.items():
            table[offset : offset + len(string)] = string
        for block in blocks:
            table[block.offset : block.offset + len(block.content)] = block.content
            for place, target in block.pointers.items():
                _POINTER.pack_into(table, block.offset + place, base + target.offset)

        words: list[int] = []
        nowhere = base + end
        for index, (_, number, arguments, result) in enumerate(calls):
            words.append(number)
            for argument in arguments:
                if isinstance(argument, int):
                    words.append(argument & _MASK)
                elif isinstance(argument, bytes):
                    words.append(base + strings[argument])
                else:
                    words.append(base + argument.offset if isinstance(argument, Block) else 0)
            words += _ZEROES[len(arguments) :]
            words += _places(result, base, first, nowhere) if result.uses else (nowhere, nowhere)
            words += self._ahead(index) if index in self._leads else _ONWARDS
        Struct(f"<{len(words)}Q").pack_into(table, _HEAD.size, *words)
        return Table(bytes(table), base, [what for what, *_ in self._calls])

    def _ahead(self, index: int) -> list[int]:
        """How far it is from a call to those that it leads to, as the table has it."""
        then, foreseen = self._leads[index]
        words = [(then.index - index) * CALL_BYTES if then else CALL_BYTES]
        for errno, label in foreseen:
            words += (errno, (label.index - index) * CALL_BYTES)
        return words + [0] * (len(_ONWARDS) - len(words))

    def _laid_out(self) -> tuple[dict[bytes, int], list[Block], int]:
        if not self._layout:
            calls = len(self._calls) + len(_on_failure(0))
            self._layout = self._lay_out(_HEAD.size + calls * CALL_BYTES)
        return self._layout

    def _lay_out(self, size: int) -> tuple[dict[bytes, int], list[Block], int]:
        """Give what arguments point to its place, behind so many bytes; the bytes in all."""
        strings: dict[bytes, int] = {}
        blocks: list[Block] = []
        waiting = [
            each
            for _, _, arguments, _ in self._calls
            for each in arguments
            if type(each) is not int
        ]
        while waiting:
            argument = waiting.pop()
            if isinstance(argument, bytes):
                if argument not in strings:
                    strings[argument] = size
                    size += len(argument) + 8 & ~7
            elif isinstance(argument, Block) and argument.offset < 0:
                blocks.append(argument)
                argument.offset = size
                size += len(argument.content) + 8 & ~7
                waiting += argument.pointers.values()
        return strings, blocks, size


class Table:
    """A program as bytes, for one place in memory; `names` are what its calls are to do."""

    __slots__ = ("base", "content", "names")

    def __init__(self, content: bytes, base: int, names: list[str]) -> None:
        self.content = content
        self.base = base
        self.names = names


def failure(report: bytes, names: Sequence[str], base: int) -> tuple[str, int] | None:
    """What a child could not do, and the errno, if it was one of these calls at that place."""
    code, place = REPORT.unpack(report)
    index = (place - base - _HEAD.size) // CALL_BYTES
    return (names[index], code) if 0 <= index < len(names) else None


def _places(result: Result, base: int, first: int, nowhere: int) -> tuple[int, int]:
    """Where a result is to be written: into later arguments, or into blocks."""
    found = [
        base + user.offset + where
        if isinstance(user, Block)
        else first + user * CALL_BYTES + 8 + where * 8
        for user, where in result.uses
    ]
    return found[0], found[1] if len(found) > 1 else nowhere


def _on_failure(report: int) -> list[tuple[str, int, tuple[Argument, ...], Result]]:
    """Tell of the call that failed, as the loop has left it at the head of the program; exit."""
    head = Block(b"")
    head.offset = 0
    return [
        ("report", syscalls.WRITE, (report, head, REPORT.size), Result()),
        ("exit", syscalls.EXIT_GROUP, (_CHILD_FAILED,), Result()),
    ]


def strings(words: Iterable[bytes]) -> Block:
    """An array of pointers to strings, ended by a null pointer. (execve(2))"""
    pointers = {place * 8: Block(word + b"\0") for place, word in enumerate(words)}
    return Block(bytes(8 * (len(pointers) + 1)), pointers)

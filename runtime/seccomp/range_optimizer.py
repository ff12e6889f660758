"""An optimizer of seccomp filters: it searches for a call among ranges of numbers.

libseccomp's program compares a call's number with every number in a rule, for each architecture.
The kernel compiles all of that to machine code for each process that loads it, while the start
waits; and neighbouring numbers mostly have the same result.

The results are computed by running the program on all numbers at once, in ranges that each
comparison divides. Instructions that test a call's arguments are copied unchanged. (bpf(4),
seccomp(2))
"""

from __future__ import annotations

import struct

from runtime.linux import seccomp as kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Instruction = tuple[int, int, int, int]  # struct sock_filter
    # A return value, or the position of the instructions that test the arguments.
    Result = tuple[str, int]
    Results = tuple[tuple[int, Result], ...]  # by the first number of each range, ascending

_NUMBERS = 1 << 32
_KNOWN = frozenset({kernel.DATA_NUMBER, kernel.DATA_ARCHITECTURE})
_RETURN, _PLACE = "return", "place"
_CLASS, _JUMPS, _RETURNS = 0x07, 0x05, 0x06
_FARTHEST = 250  # a jump reaches 255 instructions; the rest is a reserve


class _UnlikeOurs(Exception):
    """A program that does more with a number than compare it."""


def condense(program: bytes) -> bytes:
    """Return a shorter program with the same results for every call, or else this program."""
    instructions = list(struct.iter_unpack(kernel.INSTRUCTION, program))
    try:
        results = _Reading(instructions).results()
    except _UnlikeOurs:
        return program
    optimized = _write(instructions, results)
    return optimized if len(optimized) < len(program) else program


class _Reading:
    """A program that is being run on all numbers."""

    def __init__(self, instructions: Sequence[Instruction]) -> None:
        self._instructions = instructions
        self._compared: dict[int, None] = {}  # architectures

    def results(self) -> dict[int | None, Results]:
        """Return the results of calls by architecture; None stands for all other architectures."""
        others = self._of(None)
        results: dict[int | None, Results] = {each: self._of(each) for each in list(self._compared)}
        results[None] = others
        return results

    def _of(self, architecture: int | None) -> Results:
        results: list[tuple[int, Result]] = []
        for first, result in self._run(architecture):
            if not results or results[-1][1] != result:
                results.append((first, result))
        return tuple(results)

    def _run(self, architecture: int | None) -> Iterator[tuple[int, Result]]:
        """Yield each range of numbers that takes the same path, the lowest first."""
        # Position, loaded field, and the first and last number of the range.
        waiting = [(0, -1, 0, _NUMBERS - 1)]
        while waiting:
            place, loaded, first, last = waiting.pop()
            code, on_true, on_false, operand = self._instructions[place]
            if code == kernel.RETURN:
                yield first, (_RETURN, operand)
            elif code == kernel.LOAD_WORD and operand in _KNOWN:
                waiting.append((place + 1, operand, first, last))
            elif code == kernel.LOAD_WORD:
                yield first, (_PLACE, place)
            elif code == kernel.JUMP:
                waiting.append((place + 1 + operand, loaded, first, last))
            elif loaded == kernel.DATA_ARCHITECTURE:
                way = on_true if self._is(architecture, code, operand) else on_false
                waiting.append((place + 1 + way, loaded, first, last))
            elif loaded == kernel.DATA_NUMBER:
                for begin, end, holds in reversed(_divided(code, operand, first, last)):
                    way = on_true if holds else on_false
                    waiting.append((place + 1 + way, loaded, begin, end))
            else:
                raise _UnlikeOurs

    def _is(self, architecture: int | None, code: int, operand: int) -> bool:
        if code != kernel.JUMP_EQUAL:
            raise _UnlikeOurs
        self._compared[operand] = None
        return architecture == operand


def _divided(code: int, operand: int, first: int, last: int) -> list[tuple[int, int, bool]]:
    """Divide a range by a comparison; the third value says if the comparison is true there."""
    if code == kernel.JUMP_EQUAL:
        parts = [(0, operand - 1, False), (operand, operand, True), (operand + 1, _NUMBERS, False)]
    elif code in {kernel.JUMP_GREATER, kernel.JUMP_GREATER_OR_EQUAL}:
        least = operand + (code == kernel.JUMP_GREATER)
        parts = [(0, least - 1, False), (least, _NUMBERS, True)]
    else:
        raise _UnlikeOurs
    within = [(max(first, begin), min(last, end), holds) for begin, end, holds in parts]
    return [part for part in within if part[0] <= part[1]]


def _write(instructions: Sequence[Instruction], results: dict[int | None, Results]) -> bytes:
    """Return a program with these results, written from its end, since jumps only go forward."""
    writer = _Writer()
    places = {value for each in results.values() for _, (kind, value) in each if kind == _PLACE}
    copies = writer.copy(instructions, places)
    searches: dict[Results, int] = {}  # shared by architectures with the same results
    for each in results.values():
        if each not in searches:
            searches[each] = writer.search(each, copies)
    *architectures, (_, others) = results.items()
    place = searches[others]
    for architecture, each in reversed(architectures):
        place = writer.compare(kernel.JUMP_EQUAL, architecture or 0, searches[each], place)
    writer.follow(kernel.LOAD_WORD, kernel.DATA_ARCHITECTURE, place)
    return writer.program()


class _Writer:
    """A program that is being written, last instruction first.

    A place is an instruction's distance from the end.
    """

    def __init__(self) -> None:
        self._reversed: list[Instruction] = []
        self._returns: dict[int, int] = {}

    def program(self) -> bytes:
        """Return the program."""
        return b"".join(struct.pack(kernel.INSTRUCTION, *each) for each in reversed(self._reversed))

    def search(self, results: Results, copies: dict[int, int]) -> int:
        """Search for the number among ranges; return the place of the search."""
        return self.follow(kernel.LOAD_WORD, kernel.DATA_NUMBER, self._halve(results, copies))

    def _halve(self, results: Results, copies: dict[int, int]) -> int:
        if len(results) == 1:
            kind, value = results[0][1]
            return copies[value] if kind == _PLACE else self.give(value)
        half = len(results) // 2
        above = self._halve(results[half:], copies)
        below = self._halve(results[:half], copies)
        return self.compare(kernel.JUMP_GREATER_OR_EQUAL, results[half][0], above, below)

    def copy(self, instructions: Sequence[Instruction], places: set[int]) -> dict[int, int]:
        """Copy the instructions that are reachable from these places; return their new places."""
        copies: dict[int, int] = {}
        for place in sorted(_reached(instructions, places), reverse=True):
            code, _, _, operand = instructions[place]
            ways = [copies[way] for way in _ways(place, instructions[place])]
            if code == kernel.RETURN:
                copies[place] = self.give(operand)
            elif not ways:
                copies[place] = self._add(code, 0, 0, operand)
            elif code == kernel.JUMP:
                copies[place] = ways[0]
            elif len(ways) > 1:
                copies[place] = self.compare(code, operand, *ways)
            else:
                copies[place] = self.follow(code, operand, *ways)
        return copies

    def give(self, value: int) -> int:
        """Return a value from the filter."""
        if value not in self._returns or not self._is_near(self._returns[value]):
            self._returns[value] = self._add(kernel.RETURN, 0, 0, value)
        return self._returns[value]

    def compare(self, code: int, operand: int, on_true: int, on_false: int) -> int:
        """Jump to one place or the other."""
        on_true, on_false = self._brought_near(on_true), self._brought_near(on_false)
        latest = len(self._reversed) - 1
        return self._add(code, latest - on_true, latest - on_false, operand)

    def follow(self, code: int, operand: int, then: int) -> int:
        """Add an instruction that continues at a place."""
        if then != len(self._reversed) - 1:
            self._jump(then)
        return self._add(code, 0, 0, operand)

    def _brought_near(self, place: int) -> int:
        return place if self._is_near(place) else self._jump(place)

    def _is_near(self, place: int) -> bool:
        return len(self._reversed) - place <= _FARTHEST

    def _jump(self, place: int) -> int:
        return self._add(kernel.JUMP, 0, 0, len(self._reversed) - 1 - place)

    def _add(self, code: int, on_true: int, on_false: int, operand: int) -> int:
        self._reversed.append((code, on_true, on_false, operand))
        return len(self._reversed) - 1


def _reached(instructions: Sequence[Instruction], places: set[int]) -> set[int]:
    """Return all instructions that are reachable from these places."""
    reached: set[int] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place not in reached:
            reached.add(place)
            waiting += _ways(place, instructions[place])
    return reached


def _ways(place: int, instruction: Instruction) -> tuple[int, ...]:
    """Return the places that an instruction leads to: none, one, or those for true and false."""
    code, on_true, on_false, operand = instruction
    behind = place + 1
    if code & _CLASS == _RETURNS:
        return ()
    if code == kernel.JUMP:
        return (behind + operand,)
    if code & _CLASS == _JUMPS:
        return behind + on_true, behind + on_false
    return (behind,)

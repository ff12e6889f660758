"""A filter that looks for a call among ranges of numbers, not among single ones.

libseccomp's program compares a call's number with every number that a rule names, once for each
architecture. The kernel makes machine code of all that again for each process that loads it, which
a start waits for; and most neighbours are answered alike.

What the program answers is found by carrying it out on all numbers at once, in ranges which a
comparison divides. What it does with a call's arguments is copied as it is. (bpf(4), seccomp(2))
"""

from __future__ import annotations

import struct

from runtime.linux import seccomp as kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Instruction = tuple[int, int, int, int]  # struct sock_filter
    # A value to return, or the place in the program where the arguments are looked at.
    Answer = tuple[str, int]
    Answers = tuple[tuple[int, Answer], ...]  # by the first number of each range, in their order

_NUMBERS = 1 << 32
_KNOWN = frozenset({kernel.DATA_NUMBER, kernel.DATA_ARCHITECTURE})
_RETURN, _PLACE = "return", "place"
_CLASS, _JUMPS, _RETURNS = 0x07, 0x05, 0x06
_FARTHEST = 250  # of the 255 instructions that a comparison can lead past, some to spare


class _UnlikeOurs(Exception):
    """A program that does more with a number than to compare it."""


def condense(program: bytes) -> bytes:
    """A program that answers every call as this one does; this one if that is no shorter."""
    instructions = list(struct.iter_unpack(kernel.INSTRUCTION, program))
    try:
        found = _Reading(instructions).answers()
    except _UnlikeOurs:
        return program
    made = _write(instructions, found)
    return made if len(made) < len(program) else program


class _Reading:
    """A program, read."""

    def __init__(self, instructions: Sequence[Instruction]) -> None:
        self._instructions = instructions
        self._compared: dict[int, None] = {}  # architectures

    def answers(self) -> dict[int | None, Answers]:
        """What calls are answered, by their architecture, None being all others."""
        others = self._of(None)
        found: dict[int | None, Answers] = {each: self._of(each) for each in list(self._compared)}
        found[None] = others
        return found

    def _of(self, architecture: int | None) -> Answers:
        answers: list[tuple[int, Answer]] = []
        for first, answer in self._carried_out(architecture):
            if not answers or answers[-1][1] != answer:
                answers.append((first, answer))
        return tuple(answers)

    def _carried_out(self, architecture: int | None) -> Iterator[tuple[int, Answer]]:
        """Every range of numbers that meets the same comparisons, lowest first."""
        # Where it stands, what it has loaded, and for which numbers, the last one included.
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
    """A range as a comparison divides it, and whether that holds for each part."""
    if code == kernel.JUMP_EQUAL:
        parts = [(0, operand - 1, False), (operand, operand, True), (operand + 1, _NUMBERS, False)]
    elif code in {kernel.JUMP_GREATER, kernel.JUMP_GREATER_OR_EQUAL}:
        least = operand + (code == kernel.JUMP_GREATER)
        parts = [(0, least - 1, False), (least, _NUMBERS, True)]
    else:
        raise _UnlikeOurs
    within = [(max(first, begin), min(last, end), holds) for begin, end, holds in parts]
    return [part for part in within if part[0] <= part[1]]


def _write(instructions: Sequence[Instruction], found: dict[int | None, Answers]) -> bytes:
    """The program with these answers, from its end, since no jump leads back."""
    writing = _Writing()
    places = {value for answers in found.values() for _, (kind, value) in answers if kind == _PLACE}
    copies = writing.copy(instructions, places)
    searches: dict[Answers, int] = {}  # one for all architectures that are alike
    for answers in found.values():
        if answers not in searches:
            searches[answers] = writing.search(answers, copies)
    *architectures, (_, others) = found.items()
    way = searches[others]
    for architecture, answers in reversed(architectures):
        way = writing.compare(kernel.JUMP_EQUAL, architecture or 0, searches[answers], way)
    writing.follow(kernel.LOAD_WORD, kernel.DATA_ARCHITECTURE, way)
    return writing.program()


class _Writing:
    """A program in the making, last instruction first; a place is a number of those behind it."""

    def __init__(self) -> None:
        self._made: list[Instruction] = []
        self._returns: dict[int, int] = {}

    def program(self) -> bytes:
        """What was written."""
        return b"".join(struct.pack(kernel.INSTRUCTION, *each) for each in reversed(self._made))

    def search(self, answers: Answers, copies: dict[int, int]) -> int:
        """Look for the number among ranges. Where that begins."""
        return self.follow(kernel.LOAD_WORD, kernel.DATA_NUMBER, self._halve(answers, copies))

    def _halve(self, answers: Answers, copies: dict[int, int]) -> int:
        if len(answers) == 1:
            kind, value = answers[0][1]
            return copies[value] if kind == _PLACE else self.give(value)
        half = len(answers) // 2
        above = self._halve(answers[half:], copies)
        below = self._halve(answers[:half], copies)
        return self.compare(kernel.JUMP_GREATER_OR_EQUAL, answers[half][0], above, below)

    def copy(self, instructions: Sequence[Instruction], places: set[int]) -> dict[int, int]:
        """Copy what these places of a program lead to. Where each of it is now."""
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
        """Return a value."""
        if value not in self._returns or not self._is_near(self._returns[value]):
            self._returns[value] = self._add(kernel.RETURN, 0, 0, value)
        return self._returns[value]

    def compare(self, code: int, operand: int, on_true: int, on_false: int) -> int:
        """Go one way or the other."""
        on_true, on_false = self._brought_near(on_true), self._brought_near(on_false)
        latest = len(self._made) - 1
        return self._add(code, latest - on_true, latest - on_false, operand)

    def follow(self, code: int, operand: int, then: int) -> int:
        """An instruction that another one follows."""
        if then != len(self._made) - 1:
            self._jump(then)
        return self._add(code, 0, 0, operand)

    def _brought_near(self, place: int) -> int:
        return place if self._is_near(place) else self._jump(place)

    def _is_near(self, place: int) -> bool:
        return len(self._made) - place <= _FARTHEST

    def _jump(self, place: int) -> int:
        return self._add(kernel.JUMP, 0, 0, len(self._made) - 1 - place)

    def _add(self, code: int, on_true: int, on_false: int, operand: int) -> int:
        self._made.append((code, on_true, on_false, operand))
        return len(self._made) - 1


def _reached(instructions: Sequence[Instruction], places: set[int]) -> set[int]:
    """All instructions that these places lead to."""
    reached: set[int] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place not in reached:
            reached.add(place)
            waiting += _ways(place, instructions[place])
    return reached


def _ways(place: int, instruction: Instruction) -> tuple[int, ...]:
    """The places that an instruction leads to: none, one, or those on true and on false."""
    code, on_true, on_false, operand = instruction
    behind = place + 1
    if code & _CLASS == _RETURNS:
        return ()
    if code == kernel.JUMP:
        return (behind + operand,)
    if code & _CLASS == _JUMPS:
        return behind + on_true, behind + on_false
    return (behind,)

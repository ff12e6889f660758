"""An interpreter of seccomp filters that works as the kernel does. (bpf(4), linux/seccomp.h)"""

from __future__ import annotations

import struct

LOAD_WORD = 0x20
AND = 0x54
JUMP = 0x05
RETURN = 0x06
CONDITIONS = {
    0x15: lambda accumulator, operand: accumulator == operand,
    0x25: lambda accumulator, operand: accumulator > operand,
    0x35: lambda accumulator, operand: accumulator >= operand,
    0x45: lambda accumulator, operand: accumulator & operand != 0,
}


def run(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Return the filter's result for a system call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack(
        "IIQ6Q", number % (1 << 32), architecture, 0, *(word % (1 << 64) for word in words)
    )
    instructions: list[tuple[int, int, int, int]] = list(struct.iter_unpack("HBBI", program))
    place = accumulator = 0
    while True:
        code, on_true, on_false, operand = instructions[place]
        place += 1
        if code == RETURN:
            return operand
        if code == LOAD_WORD:
            (accumulator,) = struct.unpack_from("I", data, operand)
        elif code == AND:
            accumulator &= operand
        elif code == JUMP:
            place += operand
        else:
            place += on_true if CONDITIONS[code](accumulator, operand) else on_false

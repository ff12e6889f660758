"""Constants of seccomp(2) and of its filters. (linux/seccomp.h, linux/filter.h)"""

from __future__ import annotations

from _struct import Struct

SET_MODE_FILTER = 1

FILTER_FLAG_TSYNC = 1 << 0
FILTER_FLAG_LOG = 1 << 1
FILTER_FLAG_SPEC_ALLOW = 1 << 2
FILTER_FLAG_NEW_LISTENER = 1 << 3
FILTER_FLAG_TSYNC_ESRCH = 1 << 4
FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5

# A filter returns an action in the upper bits, and 16 bits of data below.
RET_KILL_PROCESS = 0x80000000
RET_KILL_THREAD = 0x00000000
RET_TRAP = 0x00030000
RET_ERRNO = 0x00050000
RET_USER_NOTIF = 0x7FC00000
RET_TRACE = 0x7FF00000
RET_LOG = 0x7FFC0000
RET_ALLOW = 0x7FFF0000
RET_DATA = 0x0000FFFF

# struct seccomp_data, which a filter reads: offsets of the call's number and of its architecture.
DATA_NUMBER = 0
DATA_ARCHITECTURE = 4
# x32 calls have the architecture of x86-64, and this bit in their number.
X32_BIT = 0x40000000
AUDIT_ARCH_X86_64 = 0xC000003E

# struct sock_filter: opcode, jump distances on true and on false, operand.
INSTRUCTION = "HBBI"
INSTRUCTION_BYTES = 8
LOAD_WORD = 0x20
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_OR_EQUAL = 0x35
RETURN = 0x06

# struct sock_fprog: the number of instructions, and the address of the first.
_PROGRAM = Struct("HP")


def sock_fprog(address: int, size_bytes: int) -> bytes:
    """Return struct sock_fprog, the argument of SET_MODE_FILTER, of a filter at `address`.

    The address is the last 8 bytes, which can be filled in later.
    """
    return _PROGRAM.pack(size_bytes // INSTRUCTION_BYTES, address)

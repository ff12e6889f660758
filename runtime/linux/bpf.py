"""eBPF programs that allow or deny the use of devices in a cgroup. (bpf(2), linux/bpf.h)

A program is a sequence of instructions, each packed as the kernel's struct bpf_insn.
"""

from __future__ import annotations

import os
import struct
import sys

from runtime.linux import syscalls
from runtime.linux.libc import address, buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from collections.abc import Sequence

    from runtime.linux.libc import Char

# Registers: r0 holds the result, r1 points to struct bpf_cgroup_dev_ctx.
R0, R1, R2, R3, R4, R5 = range(6)

# Operation codes, composed of the parts in linux/bpf_common.h and linux/bpf.h.
LOAD_WORD = 0x61  # dst = *(u32 *)(src + offset)
MOVE, MOVE_REGISTER = 0xB7, 0xBF
AND = 0x57
SHIFT_RIGHT = 0x77
JUMP_IF_EQUAL, JUMP_IF_NOT_EQUAL = 0x15, 0x55
EXIT = 0x95

DEVICE_BLOCK, DEVICE_CHARACTER = 1, 2
ACCESS_MKNOD, ACCESS_READ, ACCESS_WRITE = 1, 2, 4

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE, _CGROUP_DEVICE = 15, 6
_ALLOW_MULTI, _REPLACE = 2, 4
_INSTRUCTION = struct.Struct("<BBhi" if sys.byteorder == "little" else ">BBhi")
_MOST_ATTACHED = 64  # the kernel's BPF_CGROUP_MAX_PROGS

# The members of union bpf_attr, a struct for each command.
# type, count, instructions, license, log_level, log_size, log, kernel_version, flags, name
_LOAD_ATTR = struct.Struct("=2I2Q2IQ2I16s")
# target_fd, program_fd, type, flags, replaced_fd
_ATTACH_ATTR = struct.Struct("=5I")
# target_fd, type, query_flags, attach_flags, identifiers, count
_QUERY_ATTR = struct.Struct("=4IQI")
# identifier, next, open_flags
_ID_ATTR = struct.Struct("=3I")


def instruction(
    operation: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    """Return struct bpf_insn."""
    high_first = sys.byteorder == "big"
    registers = destination << 4 | source if high_first else source << 4 | destination
    return _INSTRUCTION.pack(operation, registers, offset, immediate)


def load(program: Sequence[bytes]) -> int:
    """Load a program, which the kernel verifies, and return a descriptor of it. Raise OSError."""
    code, licence = buffer(b"".join(program)), buffer(b"Apache-2.0\0")
    return _bpf(_PROG_LOAD, _LOAD_ATTR.pack(
        _PROG_TYPE_CGROUP_DEVICE, len(program), address(code), address(licence), 0, 0, 0, 0, 0,
        b"tonnage",
    ))  # fmt: skip


def attach(directory_fd: int, program_fd: int) -> None:
    """Make this the only program of a cgroup, without a moment in which it has none.

    The programs of its ancestors stay: a process may do what all of them allow. Raise OSError.
    """
    before = attached(directory_fd)
    if len(before) == 1:
        replaced = _open_program(before[0])
        try:
            flags = _ALLOW_MULTI | _REPLACE
            _attach(directory_fd, program_fd, flags, replaced)
        finally:
            os.close(replaced)
        return
    _attach(directory_fd, program_fd, _ALLOW_MULTI)
    for identifier in before:
        old = _open_program(identifier)
        try:
            _detach(directory_fd, old)
        finally:
            os.close(old)


def attached(directory_fd: int) -> list[int]:
    """Return the ids of the programs that are attached to the cgroup itself. Raise OSError."""
    identifiers = buffer(bytes(4 * _MOST_ATTACHED))
    query = buffer(
        _QUERY_ATTR.pack(directory_fd, _CGROUP_DEVICE, 0, 0, address(identifiers), _MOST_ATTACHED)
    )
    _bpf(_PROG_QUERY, query)
    count = _QUERY_ATTR.unpack(bytes(query))[-1]
    return list(struct.unpack_from(f"={count}I", bytes(identifiers)))


def detach_all(directory_fd: int) -> None:
    """Detach all programs from the cgroup itself. Raise OSError."""
    for identifier in attached(directory_fd):
        program = _open_program(identifier)
        try:
            _detach(directory_fd, program)
        finally:
            os.close(program)


def _attach(directory_fd: int, program_fd: int, flags: int, replaced_fd: int = 0) -> None:
    _bpf(
        _PROG_ATTACH,
        _ATTACH_ATTR.pack(directory_fd, program_fd, _CGROUP_DEVICE, flags, replaced_fd),
    )


def _detach(directory_fd: int, program_fd: int) -> None:
    _bpf(_PROG_DETACH, _ATTACH_ATTR.pack(directory_fd, program_fd, _CGROUP_DEVICE, 0, 0))


def _open_program(identifier: int) -> int:
    return _bpf(_PROG_GET_FD_BY_ID, _ID_ATTR.pack(identifier, 0, 0))


def _bpf(command: int, attributes: bytes | Array[Char]) -> int:
    return syscall(syscalls.BPF, command, attributes, len(attributes))

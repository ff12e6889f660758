"""eBPF programs that decide on a cgroup's use of devices. (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE)

Instructions are bytes as the kernel takes them; what may be loaded where is bpf(2)'s.
"""

from __future__ import annotations

import os
import struct
import sys

from runtime.linux.libc import address, buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from collections.abc import Sequence

    from runtime.linux.libc import Char

# Registers: r0 is the verdict, r1 points to struct bpf_cgroup_dev_ctx.
R0, R1, R2, R3, R4, R5 = range(6)

# Operations, as linux/bpf_common.h and linux/bpf.h compose them.
LOAD_WORD = 0x61  # dst = *(u32 *)(src + offset)
MOVE, MOVE_REGISTER = 0xB7, 0xBF
AND = 0x57
SHIFT_RIGHT = 0x77
JUMP_IF_EQUAL, JUMP_IF_NOT_EQUAL = 0x15, 0x55
EXIT = 0x95

DEVICE_BLOCK, DEVICE_CHARACTER = 1, 2
ACCESS_MKNOD, ACCESS_READ, ACCESS_WRITE = 1, 2, 4

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_LOAD, _ATTACH, _DETACH, _BY_ID, _QUERY = 5, 8, 9, 13, 16
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE = 15, 6
_ALLOW_MULTI, _REPLACE = 2, 4
_INSTRUCTION = struct.Struct("<BBhi" if sys.byteorder == "little" else ">BBhi")
_MOST_ATTACHED = 64  # the kernel's BPF_CGROUP_MAX_PROGS


# union bpf_attr, as each command takes it. (linux/bpf.h)
# type, count, instructions, license, log_level, log_size, log, kernel_version, flags, name
_LOADED = struct.Struct("=2I2Q2IQ2I16s")
# target_fd, program_fd, type, flags, replaced_fd
_ATTACHED = struct.Struct("=5I")
# target_fd, type, query_flags, attach_flags, identifiers, count
_QUERIED = struct.Struct("=4IQI")
# identifier, next, open_flags
_IDENTIFIED = struct.Struct("=3I")


def instruction(
    operation: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    """One instruction. (struct bpf_insn)"""
    high_first = sys.byteorder == "big"
    registers = destination << 4 | source if high_first else source << 4 | destination
    return _INSTRUCTION.pack(operation, registers, offset, immediate)


def load(program: Sequence[bytes]) -> int:
    """A descriptor of the program, once the kernel has verified it. Raises OSError."""
    code, licence = buffer(b"".join(program)), buffer(b"Apache-2.0\0")
    return _bpf(_LOAD, _LOADED.pack(
        _CGROUP_DEVICE_PROGRAM, len(program), address(code), address(licence), 0, 0, 0, 0, 0,
        b"tonnage",
    ))  # fmt: skip


def attach(directory_fd: int, program_fd: int) -> None:
    """Make the program the only one of the cgroup itself, with no moment between. Raises OSError.

    A cgroup's ancestors keep theirs; all of them must agree to what a process does.
    """
    before = attached(directory_fd)
    if len(before) == 1:
        replaced = _by_identifier(before[0])
        try:
            flags = _ALLOW_MULTI | _REPLACE
            _attach(directory_fd, program_fd, flags, replaced)
        finally:
            os.close(replaced)
        return
    _attach(directory_fd, program_fd, _ALLOW_MULTI)
    for identifier in before:
        old = _by_identifier(identifier)
        try:
            _detach(directory_fd, old)
        finally:
            os.close(old)


def attached(directory_fd: int) -> list[int]:
    """The kernel's numbers of the programs of the cgroup itself. Raises OSError."""
    identifiers = buffer(bytes(4 * _MOST_ATTACHED))
    query = buffer(
        _QUERIED.pack(directory_fd, _CGROUP_DEVICE, 0, 0, address(identifiers), _MOST_ATTACHED)
    )
    _bpf(_QUERY, query)
    count = _QUERIED.unpack(bytes(query))[-1]
    return list(struct.unpack_from(f"={count}I", bytes(identifiers)))


def detach_all(directory_fd: int) -> None:
    """Leave the cgroup without a program of its own. Raises OSError."""
    for identifier in attached(directory_fd):
        program = _by_identifier(identifier)
        try:
            _detach(directory_fd, program)
        finally:
            os.close(program)


def _attach(directory_fd: int, program_fd: int, flags: int, replaced_fd: int = 0) -> None:
    _bpf(_ATTACH, _ATTACHED.pack(directory_fd, program_fd, _CGROUP_DEVICE, flags, replaced_fd))


def _detach(directory_fd: int, program_fd: int) -> None:
    _bpf(_DETACH, _ATTACHED.pack(directory_fd, program_fd, _CGROUP_DEVICE, 0, 0))


def _by_identifier(identifier: int) -> int:
    return _bpf(_BY_ID, _IDENTIFIED.pack(identifier, 0, 0))


def _bpf(command: int, attributes: bytes | Array[Char]) -> int:
    return syscall(_NUMBERS[os.uname().machine], command, attributes, len(attributes))

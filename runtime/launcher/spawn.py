"""A child process that carries out a program, by a loop of machine instructions.

A fork of an interpreter copies its page tables, and then each page that either side touches: more
than all the rest of a container's start costs. Here the child shares the parent's memory for some
microseconds instead, in which it touches nothing but a short table of its own, and then executes a
file of some kilobytes that was written for it into memory: the loop, and the table of all that it
has to do. From then on it has nothing of the parent's but the descriptors that it was to keep.
Its /proc/PID/exe is that file and not the interpreter of the host. (CVE-2019-5736)
"""

from __future__ import annotations

import os
import time
from _ctypes import addressof
from _struct import Struct
from fcntl import fcntl

from runtime.errors import ContainerError
from runtime.launcher.program import CALLS, DATA, REPORT, Program, failure, strings
from runtime.linux import memory, syscalls
from runtime.linux.libc import Function, Int, Long
from runtime.linux.pidfd import reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

_INTO_CGROUP = 0x200000000
_CLEAR_HANDLERS = 0x100000000
_PIDFD, _SHARE_MEMORY = 0x1000, 0x100
_SIGCHLD = 17
_F_SETFD = 2
_AT_EMPTY_PATH = 0x1000
_MFD_CLOEXEC, _MFD_ALLOW_SEALING, _MFD_EXEC = 1, 2, 0x10
_F_ADD_SEALS, _SEALS = 1033, 0xF  # seal, shrink, grow, write

# loop(clone_args, size, table): clone3, whose result the parent returns. The child goes from call
# to call of the table, as runtime.launcher.program lays it out, and never returns. What fails where
# a failure is told leads to the call after that one.
_CODE = {
    "x86_64": """
    4989d0            mov r8, rdx
    b8b3010000        mov eax, 435
    0f05              syscall
    4885c0            test rax, rax
    7401              jz 1f
    c3                ret
    4d89c7         1: mov r15, r8
    498b5f10          mov rbx, [r15+16]
    488b03         2: mov rax, [rbx]
    488b7b08          mov rdi, [rbx+8]
    488b7310          mov rsi, [rbx+16]
    488b5318          mov rdx, [rbx+24]
    4c8b5320          mov r10, [rbx+32]
    4c8b4328          mov r8, [rbx+40]
    4c8b4b30          mov r9, [rbx+48]
    0f05              syscall
    483d01f0ffff      cmp rax, -4095
    7314              jae 3f
    488b4b38          mov rcx, [rbx+56]
    488901            mov [rcx], rax
    488b4b40          mov rcx, [rbx+64]
    488901            mov [rcx], rax
    488b4b48          mov rcx, [rbx+72]
    eb36              jmp 4f
    48f7d8         3: neg rax
    488b4b58          mov rcx, [rbx+88]
    483b4350          cmp rax, [rbx+80]
    7429              je 4f
    488b4b68          mov rcx, [rbx+104]
    483b4360          cmp rax, [rbx+96]
    741f              je 4f
    488b4b78          mov rcx, [rbx+120]
    483b4370          cmp rax, [rbx+112]
    7415              je 4f
    498907            mov [r15], rax
    49895f08          mov [r15+8], rbx
    498b5f18          mov rbx, [r15+24]
    4981471880000000    add qword ptr [r15+24], 128
    eb91              jmp 2b
    4801cb         4: add rbx, rcx
    eb8c              jmp 2b
    """,
    "aarch64": """
    e90302aa          mov x9, x2
    683680d2          mov x8, 435
    010000d4          svc 0
    400000b4          cbz x0, 1f
    c0035fd6          ret
    f30309aa       1: mov x19, x9
    740a40f9          ldr x20, [x19, 16]
    880240f9       2: ldr x8, [x20]
    808640a9          ldp x0, x1, [x20, 8]
    828e41a9          ldp x2, x3, [x20, 24]
    849642a9          ldp x4, x5, [x20, 40]
    010000d4          svc 0
    1ffc3fb1          cmn x0, 4095
    c2000054          b.cs 3f
    89aa43a9          ldp x9, x10, [x20, 56]
    200100f9          str x0, [x9]
    400100f9          str x0, [x10]
    8a2640f9          ldr x10, [x20, 72]
    10000014          b 4f
    e00300cb       3: neg x0, x0
    892a45a9          ldp x9, x10, [x20, 80]
    1f0009eb          cmp x0, x9
    80010054          b.eq 4f
    892a46a9          ldp x9, x10, [x20, 96]
    1f0009eb          cmp x0, x9
    20010054          b.eq 4f
    892a47a9          ldp x9, x10, [x20, 112]
    1f0009eb          cmp x0, x9
    c0000054          b.eq 4f
    605200a9          stp x0, x20, [x19]
    740e40f9          ldr x20, [x19, 24]
    89020291          add x9, x20, 128
    690e00f9          str x9, [x19, 24]
    e6ffff17          b 2b
    94020a8b       4: add x20, x20, x10
    e4ffff17          b 2b
    """,
}


# How the file begins: it loads the table's address (mov r8d, CALLS or movz and movk x9) and goes
# on with the loop from so many bytes on, where the child of a clone does.
_ENTRIES = {"x86_64": ("41b800000110", 16), "aarch64": ("090080d22900a2f2", 20)}
_MACHINES = {"x86_64": 62, "aarch64": 183}
_LOAD, _ALIGNMENT = 0x10000000, 0x10000
_ELF = Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = Struct("<IIQQQQQQ")
_READ_WRITE, _READ_EXECUTE = 6, 5
_HALF_BYTES = 1 << 20  # of a launch: room for 8,000 calls, and as much for what they point to


# struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
# set_tid, set_tid_size, cgroup. (clone3(2))
_CLONE_ARGUMENTS = Struct("=11Q")


class Launch(Program):
    """A program in this process's memory, for a child that shares it; a context manager.

    Raises OSError.
    """

    def __init__(self) -> None:
        address = memory.allocate(2 * _HALF_BYTES)  # of which only what is used is there
        super().__init__(address, address + _HALF_BYTES)

    def load(self, report: int) -> None:
        """Put it where the child is to find it; a failure is written to the descriptor `report`.

        Raises ContainerError.
        """
        self.finish(report)
        memory.fill(self.base, bytes(self.calls))
        memory.fill(self.data_base, bytes(self.data))

    def close(self) -> None:
        """Give the memory back: the child is gone, or has execed."""
        memory.free(self.base, 2 * _HALF_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Executable:
    """A file in memory that carries out a program when it is executed; a context manager.

    A child may be there before its program is. `report` is where it writes what failed, `names` are
    what its calls are to do. Raises OSError.
    """

    def __init__(self, report: int) -> None:
        self.report = report
        self.names: list[str] = []
        self.descriptor = _memory_file("tonnage-init")

    def fill(self, program: Program) -> None:
        """Put the program into it; nobody can write to it any more. Raises OSError.

        ContainerError on a machine that is not known. (elf(5), fcntl(2), "File Sealing")
        """
        program.finish(self.report)
        data_offset = CALLS - _LOAD + _aligned(len(program.calls))
        os.pwrite(self.descriptor, _head(program, data_offset), 0)
        os.pwrite(self.descriptor, program.calls, CALLS - _LOAD)
        os.pwrite(self.descriptor, program.data, data_offset)
        fcntl(self.descriptor, _F_ADD_SEALS, _SEALS)
        self.names = program.names

    def close(self) -> None:
        """Let go of it; whoever executes it has it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Child:
    """A process that was spawned; `pidfd` is the caller's to close.

    `asked_ns` is when it was asked for, by CLOCK_MONOTONIC. Its launch must last until it has
    execed.
    """

    def __init__(
        self, launch: Launch, file: Executable, pid: int, pidfd: int, asked_ns: int
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.asked_ns = asked_ns
        self._launch = launch
        self._file = file

    @property
    def calls(self) -> list[str]:
        """What its program's calls are to do."""
        return self._file.names

    def succeed(self, pid: int) -> None:
        """Its child, which is ours as well, is in its place; it has ended."""
        pidfd = os.pidfd_open(pid)
        reap(self.pid)
        os.close(self.pidfd)
        self.pid, self.pidfd = pid, pidfd

    def failure(self, report: bytes) -> tuple[str, int]:
        """What it could not do, and the errno, from what it reported."""
        launch = self._launch
        return failure(report, launch.names, launch.base) or explain(report, self.calls)


def explain(report: bytes, calls: Sequence[str]) -> tuple[str, int]:
    """What a program could not do, and the errno, from what it reported; `calls` are a child's."""
    return failure(report, calls, CALLS) or ("do what it was to", REPORT.unpack(report)[0])


def spawn(
    launch: Launch,
    file: Executable,
    *,
    kept: Iterable[int] = (),
    flags: int = 0,
    cgroup: int | None = None,
) -> Child:
    """Start a child, in new namespaces and a v2 cgroup if one is given, that executes the file.

    `launch` comes before, while the child shares this process's memory: it is for what must be done
    before any exec, and waits until the file is filled if it is not yet. `kept` are the descriptors
    that the program uses. Signal handlers are reset. Raises OSError, and ContainerError on a
    machine that is not known. (clone(2), execveat(2))
    """
    for descriptor in (file.report, *kept):
        launch.call("keep a descriptor", syscalls.FCNTL, descriptor, _F_SETFD, 0)
    launch.call(
        "execute the program", syscalls.EXECVEAT,
        file.descriptor, b"", strings([b"tonnage-init"]), strings([]), _AT_EMPTY_PATH,
    )  # fmt: skip
    launch.load(file.report)
    asked_ns = time.monotonic_ns()
    pid, pidfd = _clone(launch, flags, cgroup)
    return Child(launch, file, pid, pidfd, asked_ns)


def _clone(launch: Launch, flags: int, cgroup: int | None) -> tuple[int, int]:
    pidfd = Int(-1)
    flags |= _PIDFD | _CLEAR_HANDLERS | _SHARE_MEMORY | (0 if cgroup is None else _INTO_CGROUP)
    arguments = _CLONE_ARGUMENTS.pack(
        flags, addressof(pidfd), 0, 0, _SIGCHLD, 0, 0, 0, 0, 0, cgroup or 0
    )
    pid: int = _loop()(arguments, Long(len(arguments)), Long(launch.base))
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid, pidfd.value


def _memory_file(name: str) -> int:
    """The descriptor of an empty file in memory that may be executed. (memfd_create(2))"""
    try:
        return os.memfd_create(name, _MFD_CLOEXEC | _MFD_ALLOW_SEALING | _MFD_EXEC)
    except OSError:  # before Linux 6.3, where every such file can be executed
        return os.memfd_create(name, _MFD_CLOEXEC | _MFD_ALLOW_SEALING)


def _head(program: Program, data_offset: int) -> bytes:
    """The file's beginning: segments of code, calls and data, and the code."""
    entry, skipped = _ENTRIES[_machine()]
    code = bytes.fromhex(entry) + _code()[skipped:]
    size = _ELF.size + 3 * _SEGMENT.size
    return b"".join((
        _ELF.pack(
            b"\x7fELF\x02\x01\x01", 2, _MACHINES[_machine()], 1, _LOAD + size, _ELF.size, 0, 0,
            _ELF.size, _SEGMENT.size, 3, 0, 0, 0,
        ),
        _segment(_READ_EXECUTE, 0, _LOAD, size + len(code)),
        _segment(_READ_WRITE, CALLS - _LOAD, CALLS, len(program.calls)),
        _segment(_READ_WRITE, data_offset, DATA, len(program.data)),
        code,
    ))  # fmt: skip


def _segment(access: int, offset: int, address: int, size: int) -> bytes:
    return _SEGMENT.pack(1, access, offset, address, address, size, size, _ALIGNMENT)


def _aligned(size: int) -> int:
    return size + _ALIGNMENT - 1 & -_ALIGNMENT


def _machine() -> str:
    if syscalls.MACHINE not in _CODE:
        raise ContainerError(f"Containers can't be started on {syscalls.MACHINE}: no code for it.")
    return syscalls.MACHINE


def _code() -> bytes:
    if not _codes:
        lines = _CODE[_machine()].split("\n")
        _codes.append(bytes.fromhex("".join(line.split()[0] for line in lines if line.strip())))
    return _codes[0]


def _loop() -> Function:
    """The loop in memory that can be executed, put there once. Raises OSError."""
    if not _loaded:
        code = _code()
        address = memory.allocate(len(code))
        memory.fill(address, code)
        memory.protect(address, len(code), memory.READ | memory.EXECUTE)
        _loaded.append(Function(address))
    return _loaded[0]


_codes: list[bytes] = []
_loaded: list[Function] = []

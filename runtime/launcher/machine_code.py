"""The machine code that carries out a program, and the executable file that it is put into.

The code is a loop over the table of calls that runtime.launcher.program lays out. A child that
shares the parent's memory runs it from there; a child that has executed the file runs it from the
file's first segment.
"""

from __future__ import annotations

from _struct import Struct

from runtime.errors import Unavailable
from runtime.launcher.program import CALLS, DATA
from runtime.lazy import remembered
from runtime.linux import memory, syscalls
from runtime.linux.libc import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program

# loop(clone_args, size, table): call clone3, and return its result in the parent. The child makes
# the calls of the table one after the other and never returns. A call that fails with an errno that
# is not foreseen is stored at the head of the table, and the calls that report it follow; if one of
# those fails too, the call after it is next.
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

# The file's own beginning loads the table's address, where the loop expects it: mov r8d, CALLS on
# x86-64, movz and movk x9 on aarch64. The loop follows, without the bytes that make the clone.
_ENTRIES = {"x86_64": ("41b800000110", 16), "aarch64": ("090080d22900a2f2", 20)}
_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}  # EM_X86_64, EM_AARCH64
_ELF_HEADER = Struct("<16sHHIQQQIHHHHHH")
_ELF_EXECUTABLE = 2  # ET_EXEC
_SEGMENT_HEADER = Struct("<IIQQQQQQ")
_LOADED = 1  # PT_LOAD
_READ_WRITE, _READ_EXECUTE = 6, 5
LOAD_ADDRESS, _ALIGNMENT = 0x10000000, 0x10000


def check_machine() -> str:
    """Return this machine's architecture. Raise Unavailable if there is no code for it."""
    if syscalls.MACHINE not in _CODE:
        raise Unavailable(
            f"Containers can't be started on {syscalls.MACHINE}: only {' and '.join(_CODE)} are"
            " supported."
        )
    return syscalls.MACHINE


@remembered
def loop() -> Function:
    """Return the loop, in memory that can be executed. Raise OSError, and Unavailable."""
    code = _code()
    address = memory.allocate(len(code))
    memory.fill(address, code)
    memory.protect(address, len(code), memory.READ | memory.EXECUTE)
    return Function(address)


def file_parts(program: Program) -> list[tuple[int, bytes | bytearray]]:
    """Return the parts of an executable file, each with its offset. Raise Unavailable. (elf(5))

    Its segments are the code, the calls and the data of the program.
    """
    calls_offset = CALLS - LOAD_ADDRESS
    data_offset = calls_offset + _aligned(len(program.calls))
    head = _head(len(program.calls), data_offset, len(program.data))
    return [(0, head), (calls_offset, program.calls), (data_offset, program.data)]


def _head(calls_bytes: int, data_offset: int, data_bytes: int) -> bytes:
    machine = check_machine()
    entry, clone_bytes = _ENTRIES[machine]
    code = bytes.fromhex(entry) + _code()[clone_bytes:]
    size = _ELF_HEADER.size + 3 * _SEGMENT_HEADER.size
    return b"".join((
        _ELF_HEADER.pack(
            b"\x7fELF\x02\x01\x01", _ELF_EXECUTABLE, _ELF_MACHINES[machine], 1,
            LOAD_ADDRESS + size, _ELF_HEADER.size, 0, 0,
            _ELF_HEADER.size, _SEGMENT_HEADER.size, 3, 0, 0, 0,
        ),
        _segment(_READ_EXECUTE, 0, LOAD_ADDRESS, size + len(code)),
        _segment(_READ_WRITE, CALLS - LOAD_ADDRESS, CALLS, calls_bytes),
        _segment(_READ_WRITE, data_offset, DATA, data_bytes),
        code,
    ))  # fmt: skip


def _segment(access: int, offset: int, address: int, size: int) -> bytes:
    return _SEGMENT_HEADER.pack(_LOADED, access, offset, address, address, size, size, _ALIGNMENT)


def _aligned(size: int) -> int:
    return size + _ALIGNMENT - 1 & -_ALIGNMENT


@remembered
def _code() -> bytes:
    lines = _CODE[check_machine()].split("\n")
    return bytes.fromhex("".join(line.split()[0] for line in lines if line.strip()))

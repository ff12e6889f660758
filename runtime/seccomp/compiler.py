"""A compiler of seccomp sections into filter programs, by libseccomp.

The module is imported only for a section that is not in the cache. Where runc and crun differ it
follows runc: system calls that are newer than the section fail with ENOSYS. (OCI config-linux.md,
"Seccomp")
"""

from __future__ import annotations

import errno
import struct

from runtime.errors import InvalidConfig, Unavailable
from runtime.linux import seccomp as kernel
from runtime.seccomp.filter import Filter, notifies
from runtime.seccomp.range_optimizer import condense

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.linux import libseccomp
    from runtime.spec.config import Seccomp, Syscall

ACTIONS = {
    "SCMP_ACT_KILL": kernel.RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": kernel.RET_KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": kernel.RET_KILL_THREAD,
    "SCMP_ACT_TRAP": kernel.RET_TRAP,
    "SCMP_ACT_ERRNO": kernel.RET_ERRNO,
    "SCMP_ACT_TRACE": kernel.RET_TRACE,
    "SCMP_ACT_ALLOW": kernel.RET_ALLOW,
    "SCMP_ACT_LOG": kernel.RET_LOG,
    "SCMP_ACT_NOTIFY": kernel.RET_USER_NOTIF,
}
# enum scmp_compare
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}"
    for name in (
        "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL",
        "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC",
        "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB",
    )
)  # fmt: skip
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": kernel.FILTER_FLAG_TSYNC,
    "SECCOMP_FILTER_FLAG_LOG": kernel.FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": kernel.FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": kernel.FILTER_FLAG_WAIT_KILLABLE_RECV,
}

_WITH_ERRNO = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}
_PERMISSIVE = {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"}
_ARGUMENTS = 6
_FIELD = "linux.seccomp"


def build(seccomp: Seccomp, warn: Callable[[str], object]) -> tuple[Filter, str]:
    """Return the filter, and the path of the library that compiled it. Raise ContainerError."""
    try:
        from runtime.linux import libseccomp
    except OSError as error:
        raise Unavailable(
            f"{_FIELD} needs libseccomp, which can't be loaded ({error}):"
            " install the package libseccomp2."
        ) from error
    default = _action(seccomp.default_action, seccomp.default_errno_ret, "default")
    tokens = _tokens(seccomp)
    listener = _uses_listener(seccomp)
    unknown: list[str] = []
    with libseccomp.Rules(default) as rules:
        for name, token in tokens.items():
            try:
                rules.add_architecture(token)
            except OSError as error:
                raise Unavailable(
                    f"{_FIELD}.architectures: libseccomp can't add {name}: {error.strerror}."
                ) from error
        for place, rule in enumerate(seccomp.syscalls):
            unknown += _add(rules, rule, f"{_FIELD}.syscalls.{place}", default)
        program = rules.program()
    if unknown:
        warn(
            f"{_FIELD}: libseccomp {libseccomp.version()} does not know the system calls"
            f" {', '.join(unknown)}: the default action applies."
        )
    if seccomp.default_action not in _PERMISSIVE and default & 0xFFFF != errno.ENOSYS:
        program = _refusing_newer(seccomp, tokens) + program
    return Filter(condense(program), _flags(seccomp, listener), listener), libseccomp.path()


def _action(name: str, errno_ret: int | None, field: str) -> int:
    """Return what the filter returns; `field` precedes Action and ErrnoRet in the configuration."""
    prefix = f"{_FIELD}.{field}"
    action, number = ("Action", "ErrnoRet") if field == "default" else (".action", ".errnoRet")
    if name not in ACTIONS:
        raise InvalidConfig(f"{prefix}{action}: there is no action {name!r}.")
    if name not in _WITH_ERRNO:
        if errno_ret is not None:
            raise InvalidConfig(
                f"{prefix}{number} is {errno_ret}, but {name} returns no errno: remove it."
            )
        return ACTIONS[name]
    code = errno.EPERM if errno_ret is None else errno_ret
    if code > kernel.RET_DATA:
        raise InvalidConfig(f"{prefix}{number} is {code}: the maximum is {kernel.RET_DATA}.")
    return ACTIONS[name] | code


def _tokens(seccomp: Seccomp) -> dict[str, int]:
    """Return libseccomp's tokens of the architectures, by name."""
    from runtime.linux import libseccomp

    tokens = {}
    for name in seccomp.architectures:
        if name not in ARCHITECTURES:
            raise InvalidConfig(f"{_FIELD}.architectures: there is no architecture {name!r}.")
        token = libseccomp.architecture(name.removeprefix("SCMP_ARCH_").lower())
        if token is None:
            raise Unavailable(
                f"{_FIELD}.architectures: libseccomp {libseccomp.version()} does not know {name}."
            )
        tokens[name] = token
    return tokens


def _uses_listener(seccomp: Seccomp) -> bool:
    """Return True if a rule passes system calls to a listener.

    write can't be passed to a listener: the runtime uses it to report a failed exec, before the
    listener answers. runc refuses it too.
    """
    if seccomp.default_action == "SCMP_ACT_NOTIFY":
        raise InvalidConfig(
            f"{_FIELD}.defaultAction can't be SCMP_ACT_NOTIFY: use it in a rule of syscalls."
        )
    notified = [rule.names for rule in seccomp.syscalls if rule.action == "SCMP_ACT_NOTIFY"]
    if any("write" in names for names in notified):
        raise InvalidConfig(
            f"{_FIELD}.syscalls: the action of write can't be SCMP_ACT_NOTIFY: the runtime itself"
            " uses it before the listener answers."
        )
    return notifies(seccomp)


def _flags(seccomp: Seccomp, listener: bool) -> int:
    """Return the flags for seccomp(2), which are SPEC_ALLOW without a list, as in runc and crun."""
    if seccomp.flags is None:
        return kernel.FILTER_FLAG_SPEC_ALLOW | (kernel.FILTER_FLAG_NEW_LISTENER * listener)
    flags = 0
    for name in seccomp.flags:
        if name not in FLAGS:
            raise InvalidConfig(f"{_FIELD}.flags: there is no flag {name!r}.")
        flags |= FLAGS[name]
    if not listener:
        return flags & ~kernel.FILTER_FLAG_WAIT_KILLABLE_RECV  # it concerns listeners only
    if flags & kernel.FILTER_FLAG_TSYNC:
        # Otherwise the kernel could not distinguish a thread's id from the listener's descriptor.
        flags |= kernel.FILTER_FLAG_TSYNC_ESRCH
    return flags | kernel.FILTER_FLAG_NEW_LISTENER


def _add(rules: libseccomp.Rules, rule: Syscall, field: str, default: int) -> Iterator[str]:
    """Add a rule for each system call; yield the names that libseccomp does not know."""
    from runtime.linux import libseccomp

    action = _action(rule.action, rule.errno_ret, field.removeprefix(f"{_FIELD}."))
    if not rule.names:
        raise InvalidConfig(f"{field}.names is empty: name a system call.")
    alternatives = list(_alternatives(rule, field))
    if action == default:
        return  # libseccomp refuses a rule with the default action
    for name in rule.names:
        number = libseccomp.number(name)
        if number is None:
            yield name
            continue
        for comparisons in alternatives:
            try:
                rules.add(action, number, comparisons)
            except OSError as error:
                raise Unavailable(
                    f"{field}: libseccomp takes no such rule for {name}: {error.strerror}."
                ) from error


def _alternatives(rule: Syscall, field: str) -> Iterator[tuple[libseccomp.Comparison, ...]]:
    """Yield comparisons that must hold together; each yield is an alternative.

    If an argument is compared twice, each comparison is an alternative of its own: older profiles
    are written so, and runc and crun read them so.
    """
    from runtime.linux import libseccomp

    comparisons = []
    for place, arg in enumerate(rule.args):
        if arg.op not in OPERATORS:
            raise InvalidConfig(f"{field}.args.{place}.op: there is no operator {arg.op!r}.")
        if arg.index >= _ARGUMENTS:
            raise InvalidConfig(
                f"{field}.args.{place}.index is {arg.index}: a system call has {_ARGUMENTS}"
                " arguments."
            )
        comparisons.append(
            libseccomp.Comparison(arg.index, OPERATORS[arg.op], arg.value, arg.value_two)
        )
    if len({arg.index for arg in rule.args}) == len(rule.args):
        yield tuple(comparisons)
    else:
        yield from ((comparison,) for comparison in comparisons)


def _refusing_newer(seccomp: Seccomp, tokens: dict[str, int]) -> bytes:
    """Return a prologue that fails with ENOSYS for calls above the highest number in the section.

    The C library tries a new system call first, and an older one if that fails with ENOSYS. A
    filter written before the call existed would return EPERM, which the C library reports as an
    error. (This is runc's reasoning; https://github.com/opencontainers/runc/issues/2151)
    """
    from runtime.linux import libseccomp

    names = {name for rule in seccomp.syscalls for name in rule.names}
    program = []
    for token in dict.fromkeys((libseccomp.native_architecture(), *tokens.values())):
        numbers = [libseccomp.number(name, token) for name in names]
        last = max((number for number in numbers if number is not None), default=-1)
        if last < 0:
            continue
        audit = kernel.AUDIT_ARCH_X86_64 if token == libseccomp.architecture("x32") else token
        end = kernel.X32_BIT if token == kernel.AUDIT_ARCH_X86_64 else 0xFFFFFFFF
        program += [
            (kernel.LOAD_WORD, 0, 0, kernel.DATA_ARCHITECTURE),
            (kernel.JUMP_EQUAL, 0, 4, audit),
            (kernel.LOAD_WORD, 0, 0, kernel.DATA_NUMBER),
            (kernel.JUMP_GREATER_OR_EQUAL, 2, 0, end),
            (kernel.JUMP_GREATER, 0, 1, last),
            (kernel.RETURN, 0, 0, kernel.RET_ERRNO | errno.ENOSYS),
        ]
    return b"".join(struct.pack(kernel.INSTRUCTION, *instruction) for instruction in program)

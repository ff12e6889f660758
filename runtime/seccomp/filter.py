"""A compiled seccomp filter, ready for seccomp(2)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.spec.config import Seccomp


class Filter:
    """A filter: `program` is an array of struct sock_filter, `flags` are those of seccomp(2).

    With `listener` the call that loads the filter returns the descriptor of a listener.
    """

    __slots__ = ("flags", "listener", "program")

    def __init__(self, program: bytes, flags: int, listener: bool) -> None:
        self.program = program
        self.flags = flags
        self.listener = listener


def notifies(seccomp: Seccomp) -> bool:
    """Return True if a rule passes system calls to a listener; a listenerPath alone does not."""
    return any(rule.action == "SCMP_ACT_NOTIFY" for rule in seccomp.syscalls)

"""The gate of a container that was created: the program waits behind it until `start` opens it."""

from __future__ import annotations

import os

from runtime.container.state import REPORT, START, State, StateDirectory
from runtime.launcher.descriptors import Descriptors
from runtime.launcher.parent_channel import Talk
from runtime.seccomp.filter import notifies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.spec.config import Spec


def open_gate(directory: StateDirectory, state: State, pidfd: int, spec: Spec | None) -> None:
    """Let a container that waits go on; its program runs when this returns.

    `spec` may be None if its filter has no listener. Raises ContainerError, and then the process
    has ended.
    """
    calls = directory.calls()
    with Descriptors() as opened:
        ends = (
            opened.hold(os.open(directory.file(name), mode | os.O_NONBLOCK | os.O_CLOEXEC))
            for name, mode in ((REPORT, os.O_RDONLY), (START, os.O_WRONLY))
        )
        reading, writing = ends
        os.set_blocking(reading, True)
        talk = Talk(reading, writing, lambda report: _explain(report, calls))
        talk.answer()
        if spec:
            hand_on_listener(talk, spec, state, state.pid, pidfd)
        talk.finish()
    directory.let_go()


def hand_on_listener(talk: Talk, spec: Spec, state: State, pid: int, pidfd: int) -> None:
    """Send the listener of the child's filter to whoever answers it, if it has one."""
    if spec.linux.seccomp and notifies(spec.linux.seccomp):
        from runtime.container.seccomp_listener import send
        from runtime.linux.pidfd import get_descriptor

        listener = get_descriptor(pidfd, talk.number())
        try:
            send(listener, spec.linux.seccomp, state, pid)
        finally:
            os.close(listener)
        talk.answer()


def _explain(report: bytes, calls: list[str]) -> tuple[str, int]:
    from runtime.launcher.spawn import explain

    return explain(report, calls)

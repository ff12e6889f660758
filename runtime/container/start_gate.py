"""The gate at which the program of a created container waits until `start` opens it."""

from __future__ import annotations

import os

from runtime.container.state import REPORT, START
from runtime.launcher.descriptors import Descriptors
from runtime.launcher.parent_channel import Channel
from runtime.seccomp.filter import notifies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.state import State, StateDirectory
    from runtime.process.plan import StartGate
    from runtime.spec.config import Spec


def make_gate(directory: StateDirectory, opened: Descriptors) -> StartGate:
    """Return a gate of two new FIFOs, of which the child keeps both ends open."""
    from runtime.process.plan import StartGate

    paths = directory.file(START), directory.file(REPORT)
    for path in paths:
        os.mkfifo(path, 0o600)
    start, report = (opened.hold(os.open(path, os.O_RDWR | os.O_CLOEXEC)) for path in paths)
    return StartGate(start=start, report=report)


def open_gate(directory: StateDirectory, state: State, pidfd: int, spec: Spec | None) -> None:
    """Open the gate of a waiting container, and return when its program runs.

    `spec` may be None if its filter has no listener. Raise ContainerError; then the process has
    ended.
    """
    calls = directory.calls()
    with Descriptors() as opened:
        reading, writing = (
            opened.hold(os.open(directory.file(name), mode | os.O_NONBLOCK | os.O_CLOEXEC))
            for name, mode in ((REPORT, os.O_RDONLY), (START, os.O_WRONLY))
        )
        os.set_blocking(reading, True)
        channel = Channel(reading, writing, lambda report: _explain(report, calls))
        channel.started()
        if spec:
            hand_on_listener(channel, spec, state, state.pid, pidfd)
        channel.await_exec()
    directory.remove_gate()


def hand_on_listener(channel: Channel, spec: Spec, state: State, pid: int, pidfd: int) -> None:
    """Send the listener of the child's filter to its agent, if the filter has a listener."""
    if spec.linux.seccomp and notifies(spec.linux.seccomp):
        from runtime.container.seccomp_listener import send
        from runtime.linux.pidfd import get_descriptor

        listener = get_descriptor(pidfd, channel.await_listener())
        try:
            send(listener, spec.linux.seccomp, state, pid)
        finally:
            os.close(listener)
        channel.listener_fetched()


def _explain(report: bytes, calls: list[str]) -> tuple[str, int]:
    from runtime.launcher.spawn import explain

    return explain(report, calls)

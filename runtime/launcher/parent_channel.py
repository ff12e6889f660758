"""The parent's end of the channel to a child that sets up a container.

The child's end is in launcher.channel. This file stands apart because the command that starts a
created container needs no more than this end.
"""

from __future__ import annotations

import os
import sys

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

REACHED = b"\xff"  # no errno is that large, and the report of a failure begins with an errno
PERMIT_BYTES = 8
_PERMIT = (1).to_bytes(PERMIT_BYTES, sys.byteorder)
NUMBER_BYTES = 16


class Channel:
    """Messages from the child, and permits for it to go on.

    Every `await_…` raises ContainerError if the child failed or ended before that point. `explain`
    returns the failed step and its errno for the report of a failure.
    """

    def __init__(
        self, reading: int, writing: int, explain: Callable[[bytes], tuple[str, int]]
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._explain = explain

    def await_calls(self) -> None:
        """Wait until the child has made its calls; the caller needs the child no longer."""
        self._await()

    def await_user_namespace(self) -> None:
        """Wait until the child is in a new user namespace, whose IDs are not mapped yet."""
        self._await()

    def await_fork(self) -> int:
        """Wait for the child's own child, which takes its place, and return its PID."""
        return self._number()

    def await_host_file_systems(self) -> None:
        """Wait until the child has mounted what its cgroup may keep it from opening later."""
        self._await()

    def await_mounts(self) -> None:
        """Wait until all mounts are made, which is when the first hooks run."""
        self._await()

    def await_gate(self) -> None:
        """Wait until the child waits at the start gate."""
        self._await()

    def await_listener(self) -> int:
        """Wait for the listener of the seccomp filter; return its descriptor in the child."""
        return self._number()

    def await_exec(self) -> None:
        """Wait until the child has executed its program."""
        if message := os.read(self._reading, 1):
            self._raise(message)

    def cgroup_made(self) -> None:
        """Allow the child to join its cgroup."""
        self._permit()

    def program_written(self) -> None:
        """Allow the child to execute the program of its set-up."""
        self._permit()

    def ids_mapped(self) -> None:
        """Allow the child to become root of its user namespace."""
        self._permit()

    def fork_adopted(self) -> None:
        """Allow the child's own child to go on."""
        self._permit()

    def limits_set(self) -> None:
        """Allow the child to make its devices: its cgroup's limits are in force."""
        self._permit()

    def state_saved(self) -> None:
        """Allow the child to go on: the container can be found now even if the parent is killed."""
        self._permit()

    def hooks_done(self) -> None:
        """Allow the child to enter its root file system."""
        self._permit()

    def started(self) -> None:
        """Open the start gate."""
        self._permit()

    def listener_fetched(self) -> None:
        """Allow the child to go on: the parent has a copy of the listener."""
        self._permit()

    def _await(self) -> None:
        message = os.read(self._reading, 1)
        if message != REACHED:
            self._raise(message)

    def _number(self) -> int:
        message = os.read(self._reading, NUMBER_BYTES)
        if message[:1] != REACHED:
            self._raise(message)
        return int.from_bytes(message[8:12], "little")

    def _permit(self) -> None:
        try:
            os.write(self._writing, _PERMIT)
        except BrokenPipeError:
            return  # the child has ended; the next `await_…` says why

    def _raise(self, message: bytes) -> None:
        from runtime.launcher.program import REPORT

        if message:
            message += os.read(self._reading, REPORT.size - len(message))
        if len(message) < REPORT.size:
            raise ContainerError("The container's process was killed while it was set up.")
        step, code = self._explain(message)
        raise ContainerError(f"Can't {step}: {_reason(code)}.")


def _reason(code: int) -> str:
    """Return the text of an errno in lower case, as docker looks for it."""
    text = os.strerror(code)
    return text[0].lower() + text[1:]

"""Notifications of a container's process, forwarded to systemd. (sd_notify(3))"""

from __future__ import annotations

import os
import select
from _socket import AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM, socket

from runtime.container.notify_socket import NOTIFY_VARIABLE, SOCKET_NAME
from runtime.errors import ContainerError
from runtime.launcher.descriptors import scm_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from runtime.container.container import Container

_LONGEST = 1 << 16
_BARRIER_SECONDS = 5.0
# Fields that are valid only in the sender's namespace or with a descriptor; they are dropped.
_DROPPED = (b"MAINPID", b"MAINPIDFDID", b"MAINPIDFD", b"FDSTORE", b"FDNAME", b"BARRIER")


def start(container: Container) -> None:
    """Start a container, wait until it is ready or ends, and report its process as the main one.

    Raise ContainerError.
    """
    with NotifySocket(container.notify_directory) as notify:
        container.start()
        if notify.await_ready(container.pidfd):
            notify.announce(container.pid)


class NotifySocket:
    """A socket that receives a container's messages and forwards them; a context manager.

    It must exist before the container is started. Raise ContainerError.
    """

    def __init__(self, directory: str) -> None:
        address = os.environ[NOTIFY_VARIABLE]
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # The path of the directory may be too long for the address of a socket.
        path = f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
        try:
            self._socket.bind(path)
            os.chmod(path, 0o666)  # the process may have any user
        except OSError as error:
            self.close()
            raise ContainerError(f"Can't listen in {directory}: {error.strerror}.") from error
        finally:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor for poll(2)."""
        return self._socket.fileno()

    def forward(self) -> bool:
        """Forward all messages received so far; return True if the service is ready."""
        is_ready = False
        while text := self._received():
            lines = [
                line
                for line in text.split(b"\n")
                if line and line.partition(b"=")[0] not in _DROPPED
            ]
            if lines:
                self._send(b"\n".join(lines))
            is_ready |= b"READY=1" in lines
        return is_ready

    def await_ready(self, pidfd: int) -> bool:
        """Forward messages until the service is ready; return False if it ends first."""
        poll = select.poll()
        for descriptor in (self.fileno(), pidfd):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        while pidfd >= 0:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.fileno() not in ready:
                return False
            if self.forward():
                return True
        return False

    def announce(self, pid: int) -> None:
        """Report the main process, and wait until systemd has processed that, since we end soon.

        (sd_notify_barrier(3))
        """
        self._send(b"MAINPID=%d" % pid)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._send(b"BARRIER=1", scm_rights(writing))
        os.close(writing)
        poll = select.poll()
        poll.register(reading, 0)  # POLLHUP comes once systemd has closed its copy of the other end
        poll.poll(_BARRIER_SECONDS * 1000)
        os.close(reading)

    def _received(self) -> bytes:
        try:
            return self._socket.recv(_LONGEST, MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def _send(self, text: bytes, sent: Sequence[tuple[int, int, bytes]] = ()) -> None:
        try:
            self._socket.sendmsg([text], sent, 0, self._address)
        except OSError:
            return  # a missing listener is no reason to end a container

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""A container as a service of systemd: sockets handed on to it, and what it says of itself.

(sd_listen_fds(3), sd_notify(3))
"""

from __future__ import annotations

import os
import select
from _socket import AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM, socket

from runtime.errors import ContainerError
from runtime.launcher.descriptors import rights
from runtime.spec.config import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from runtime.container.container import Container
    from runtime.spec.config import Spec

NOTIFY = "NOTIFY_SOCKET"
_INSIDE, _NAME = "/run/notify", "notify.sock"
_LONGEST = 1 << 16
_BARRIER_SECONDS = 5.0
# Fields that are valid only in the sender's namespace or with a descriptor; they are dropped.
_DROPPED = (b"MAINPID", b"MAINPIDFDID", b"MAINPIDFD", b"FDSTORE", b"FDNAME", b"BARRIER")


def tell_sockets(spec: Spec, count: int) -> Spec:
    """The configuration with so many sockets told to its process, the first of its namespace."""
    names = os.environ.get("LISTEN_FDNAMES")
    told = [f"LISTEN_FDS={count}", "LISTEN_PID=1"]
    return _with_environment(spec, [*told, f"LISTEN_FDNAMES={names}"] if names else told)


def offer_notify_socket(spec: Spec, directory: str) -> Spec:
    """The configuration with a place for its process to say how it is, a directory of the host."""
    options = ("bind", "ro", "nosuid", "nodev", "noexec")
    mount = Mount(destination=_INSIDE, type="bind", source=directory, options=options)
    spec = _with_environment(spec, [f"{NOTIFY}={_INSIDE}/{_NAME}"])
    return spec.replace(mounts=(*spec.mounts, mount))


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
        address = os.environ[NOTIFY]
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{descriptor}/{_NAME}"  # the path itself may be too long for a socket
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
        self._send(b"BARRIER=1", rights(writing))
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


def _with_environment(spec: Spec, told: Iterable[str]) -> Spec:
    """With these variables of its process in place of others of their names."""
    if not spec.process:
        return spec
    told = tuple(told)
    names = {each.partition("=")[0] for each in told}
    kept = (each for each in spec.process.env if each.partition("=")[0] not in names)
    return spec.replace(process=spec.process.replace(env=(*kept, *told)))

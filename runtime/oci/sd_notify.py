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
# What means something in its sender's own namespace or with a descriptor, which is not passed on.
_LEFT_OUT = (b"MAINPID", b"MAINPIDFDID", b"MAINPIDFD", b"FDSTORE", b"FDNAME", b"BARRIER")


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
    """Start a container and wait until it is ready, or ends; its process is named as the main one.

    Raises ContainerError.
    """
    with NotifySocket(container.notify_directory) as notify:
        container.start()
        if notify.await_ready(container.pidfd):
            notify.announce(container.pid)


class NotifySocket:
    """Hears what a container says of itself and passes it on; a context manager.

    It must be there before the container is started. Raises ContainerError.
    """

    def __init__(self, directory: str) -> None:
        address = os.environ[NOTIFY]
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
        held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{held}/{_NAME}"  # the other may be too long for an address
        try:
            self._socket.bind(path)
            os.chmod(path, 0o666)  # whoever its process is
        except OSError as error:
            self.close()
            raise ContainerError(f"Can't listen in {directory}: {error.strerror}.") from error
        finally:
            os.close(held)

    def fileno(self) -> int:
        """What to poll."""
        return self._socket.fileno()

    def pass_on(self) -> bool:
        """Pass on what has been said by now; whether it says that it is ready."""
        is_ready = False
        while text := self._heard():
            lines = [
                line
                for line in text.split(b"\n")
                if line and line.partition(b"=")[0] not in _LEFT_OUT
            ]
            if lines:
                self._say(b"\n".join(lines))
            is_ready |= b"READY=1" in lines
        return is_ready

    def await_ready(self, pidfd: int) -> bool:
        """Pass on what is said until it is ready; False if it ends before."""
        poll = select.poll()
        for descriptor in (self.fileno(), pidfd):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        while pidfd >= 0:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.fileno() not in ready:
                return False
            if self.pass_on():
                return True
        return False

    def announce(self, pid: int) -> None:
        """Say which process is the main one, and wait until it was heard: we are about to end.

        (sd_notify_barrier(3))
        """
        self._say(b"MAINPID=%d" % pid)
        heard, held = os.pipe2(os.O_CLOEXEC)
        self._say(b"BARRIER=1", rights(held))
        os.close(held)
        poll = select.poll()
        poll.register(heard, 0)  # whose end comes with the last copy of the other one's
        poll.poll(_BARRIER_SECONDS * 1000)
        os.close(heard)

    def _heard(self) -> bytes:
        try:
            return self._socket.recv(_LONGEST, MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def _say(self, text: bytes, sent: Sequence[tuple[int, int, bytes]] = ()) -> None:
        try:
            self._socket.sendmsg([text], sent, 0, self._address)
        except OSError:
            return  # nobody listens, which is no reason to end a container

    def close(self) -> None:
        """Hear no more."""
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

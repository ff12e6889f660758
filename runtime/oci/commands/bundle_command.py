"""The common part of commands that create a container from a bundle: `create`, `run`, `restore`."""

from __future__ import annotations

import os

from runtime.container.container import Container
from runtime.errors import ContainerError, InvalidConfig
from runtime.launcher.descriptors import FIRST_KEPT, check_open, connect, scm_rights
from runtime.launcher.rollback import Rollback
from runtime.oci.arguments import SWITCH, VALUE, one_container, parse
from runtime.oci.pid_file import PidFile
from runtime.process.plan import StartRequest
from runtime.rootfs.root import Bundle
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

OPTIONS = {
    "--bundle": VALUE,
    "--config": VALUE,
    "--console-socket": VALUE,
    "--pid-file": VALUE,
    "--preserve-fds": VALUE,
    "--pidfd-socket": VALUE,
    "--no-pivot": SWITCH,
    "--no-new-keyring": SWITCH,
    "--no-subreaper": SWITCH,
}
SHORT = {"-b": "--bundle", "-f": "--config", "-d": "--detach"}


class BundleCommand:
    """A command line that names a bundle, parsed and checked before anything is made."""

    def __init__(self, words: Sequence[str], known: dict[str, str]) -> None:
        self.options = parse(words, {**OPTIONS, **known}, SHORT, mixed=True)
        self.identifier = one_container(self.options)
        # Before any other descriptor is opened.
        self.kept_descriptors = kept_descriptors(self.options)
        self.bundle = os.path.abspath(self.options.value("--bundle", "."))
        self.spec = read_configuration(self.bundle, self.options)
        if not self.spec.root:
            raise InvalidConfig("root is missing: set root.path to the root file system.")
        self.rootfs = os.path.join(self.bundle, self.spec.root.path)
        if not os.path.isdir(self.rootfs):
            raise InvalidConfig(f"root.path: {self.rootfs} is not a directory.")
        self.is_service = bool(os.environ.get("NOTIFY_SOCKET"))

    @property
    def has_terminal(self) -> bool:
        """Return True if the process gets a terminal."""
        return self.spec.process is not None and self.spec.process.terminal

    def create(self, settings: Settings, *, waits: bool, terminal: int | None) -> Container:
        """Create the container; `terminal` is the socket to which its terminal is sent."""
        receiver = pidfd_receiver(self.options)
        spec = self.spec
        if activated := listening():
            from runtime.container import notify_socket

            spec = notify_socket.with_listen_fds(spec, activated)
        request = StartRequest(
            identifier=self.identifier,
            spec=spec,
            root=Bundle(os.path.realpath(self.rootfs)),
            bundle=self.bundle,
            console=terminal,
            waits=waits,
            new_keyring=not self.options.has("--no-new-keyring"),
            kept_descriptors=self.kept_descriptors,
            pivots=not self.options.has("--no-pivot"),
            is_service=self.is_service,
            cgroup_manager=settings.cgroup_manager,
            rootless=settings.rootless,
            warn=settings.warn,
        )
        with PidFile(self.options.value("--pid-file")) as pid_file, Rollback() as undo:
            container = Container.create(request, settings.root)
            undo(container.__exit__)
            pid_file.write(container.pid)
            send_pidfd(receiver, container.pidfd)
        return container


def read_configuration(bundle: str, options: Options) -> Spec:
    """Return the configuration in config.json or in the file of --config. Raise ContainerError."""
    path = os.path.join(bundle, options.value("--config", "config.json"))
    try:
        with open(path, "rb") as file:
            return decode(Spec, file.read(), path)
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error


def kept_descriptors(options: Options) -> int:
    """Return how many descriptors from 3 on the process keeps: passed sockets and --preserve-fds.

    Raise ContainerError if not all of them are open.
    """
    activated, preserved = listening(), options.number("--preserve-fds")
    if preserved < 0:
        raise InvalidConfig(f"--preserve-fds must be 0 or more, not {preserved}.")
    count = activated + preserved
    words = [f"LISTEN_FDS={activated}"] if activated else []
    words += [f"--preserve-fds {preserved}"] if preserved else []
    check_open(range(FIRST_KEPT, FIRST_KEPT + count), " and ".join(words))
    return count


def listening() -> int:
    """Return how many sockets systemd has passed to this process. (sd_listen_fds(3))"""
    count, pid = os.environ.get("LISTEN_FDS", ""), os.environ.get("LISTEN_PID", str(os.getpid()))
    return int(count) if count.isdecimal() and pid == str(os.getpid()) else 0


def terminal_receiver(options: Options, has_terminal: bool, *, detached: bool) -> socket | None:
    """Return the socket to which a terminal is sent, by --console-socket. Raise ContainerError."""
    if options.value("--console-socket") and not has_terminal:
        raise InvalidConfig(
            "--console-socket needs a process with a terminal: set process.terminal, or pass --tty"
            " to exec."
        )
    if has_terminal and detached and not options.value("--console-socket"):
        raise InvalidConfig(
            "The process has a terminal, but runs in the background: pass --console-socket, or"
            " remove process.terminal or --tty."
        )
    return _connected("--console-socket", options)


def pidfd_receiver(options: Options) -> socket | None:
    """Return the socket to which a pidfd is sent, by --pidfd-socket. Raise ContainerError."""
    return _connected("--pidfd-socket", options)


def send_pidfd(receiver: socket | None, pidfd: int) -> None:
    """Send the pidfd, if a socket is given. Raise ContainerError."""
    if receiver:
        try:
            receiver.sendmsg([b"pidfd"], scm_rights(pidfd))
        except OSError as error:
            raise ContainerError(
                f"--pidfd-socket: can't send the descriptor: {error.strerror}."
            ) from error
        receiver.close()


def _connected(option: str, options: Options) -> socket | None:
    path = options.value(option)
    if not path:
        return None
    try:
        return connect(path)
    except OSError as error:
        raise ContainerError(f"{option} {path}: {error.strerror}.") from error

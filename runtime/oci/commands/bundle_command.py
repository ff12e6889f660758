"""From a command line that names a bundle to a container: what `create` and `run` share."""

from __future__ import annotations

import os

from runtime.container.container import Container
from runtime.container.create import Request
from runtime.errors import ContainerError
from runtime.launcher.descriptors import FIRST_KEPT, check_open, connected, rights
from runtime.launcher.rollback import Undo
from runtime.oci.arguments import SWITCH, VALUE, parse
from runtime.oci.pid_file import PidFile
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


class Order:
    """A command that names a bundle, read and checked as far as words can be."""

    def __init__(self, words: Sequence[str], known: dict[str, str]) -> None:
        self.options = parse(words, {**OPTIONS, **known}, SHORT, mixed=True)
        if len(self.options.words) != 1:
            raise ContainerError("Name one container.")
        (self.identifier,) = self.options.words
        self.kept_descriptors = kept_descriptors(self.options)  # before anything is opened
        self.bundle = os.path.abspath(self.options.value("--bundle", "."))
        self.spec = read_configuration(self.bundle, self.options)
        if not self.spec.root:
            raise ContainerError("root is missing: it says where the root file system is.")
        self.rootfs = os.path.join(self.bundle, self.spec.root.path)
        if not os.path.isdir(self.rootfs):
            raise ContainerError(f"root.path: {self.rootfs} is no directory.")
        self.is_service = bool(os.environ.get("NOTIFY_SOCKET"))

    @property
    def has_terminal(self) -> bool:
        """Whether the process is to have a terminal."""
        return self.spec.process is not None and self.spec.process.terminal

    def carry_out(self, settings: Settings, *, waits: bool, terminal: int | None) -> Container:
        """Make the container; `terminal` is the socket that a terminal is to be sent to."""
        receiver = pidfd_receiver(self.options)
        spec = self.spec
        if activated := listening():
            from runtime.oci import sd_notify

            spec = sd_notify.tell_sockets(spec, activated)
        request = Request(
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
        with PidFile(self.options.value("--pid-file")) as pid_file, Undo() as undo:
            made = Container.create(request, settings.root)
            undo(made.__exit__)
            pid_file.write(made.pid)
            send_pidfd(receiver, made.pidfd)
        return made


def read_configuration(bundle: str, options: Options) -> Spec:
    """The bundle's config.json, or the file that is given instead. Raises ContainerError."""
    path = os.path.join(bundle, options.value("--config", "config.json"))
    try:
        with open(path, "rb") as file:
            return decode(Spec, file.read(), path)
    except OSError as error:
        raise ContainerError(f"{path} can't be read: {error.strerror}.") from error


def kept_descriptors(options: Options) -> int:
    """Return how many descriptors from 3 on the process is to have: sockets handed on, and more.

    Raise ContainerError if not all of them are open.
    """
    activated, preserved = listening(), options.number("--preserve-fds")
    if preserved < 0:
        raise ContainerError(f"--preserve-fds takes a whole number from 0 on, not {preserved}.")
    count = activated + preserved
    words = [f"LISTEN_FDS={activated}"] if activated else []
    words += [f"--preserve-fds {preserved}"] if preserved else []
    check_open(range(FIRST_KEPT, FIRST_KEPT + count), " and ".join(words))
    return count


def listening() -> int:
    """How many sockets systemd has handed to this very process. (sd_listen_fds(3))"""
    count, pid = os.environ.get("LISTEN_FDS", ""), os.environ.get("LISTEN_PID", str(os.getpid()))
    return int(count) if count.isdecimal() and pid == str(os.getpid()) else 0


def terminal_receiver(options: Options, wants: bool) -> socket | None:
    """Where the terminal goes, by --console-socket. Raises ContainerError."""
    if options.value("--console-socket") and not wants:
        raise ContainerError("--console-socket is for a process with a terminal: this has none.")
    return _connected("--console-socket", options)


def pidfd_receiver(options: Options) -> socket | None:
    """Where a descriptor of the process goes, by --pidfd-socket. Raises ContainerError."""
    return _connected("--pidfd-socket", options)


def send_pidfd(receiver: socket | None, pidfd: int) -> None:
    """Send the descriptor there, if it is wanted. Raise ContainerError."""
    if receiver:
        try:
            receiver.sendmsg([b"pidfd"], rights(pidfd))
        except OSError as error:
            raise ContainerError(f"--pidfd-socket: nobody takes it: {error.strerror}.") from error
        receiver.close()


def _connected(option: str, options: Options) -> socket | None:
    path = options.value(option)
    if not path:
        return None
    try:
        return connected(path)
    except OSError as error:
        raise ContainerError(f"{option} {path}: {error.strerror}.") from error

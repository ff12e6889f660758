"""The device nodes of a container, made or bound from the host, as calls for the child."""

from __future__ import annotations

import errno
import os
import stat

from runtime.errors import InvalidConfig, Unavailable
from runtime.launcher.program import Label
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.rootfs.default_devices import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.launcher.program import Program
    from runtime.rootfs.mount_sources import Source, SourceOpener
    from runtime.rootfs.mounts import Mounts
    from runtime.spec.config import Device

# OCI runtime-linux.md, "Dev symbolic links".
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)


def open_sources(opener: SourceOpener, devices: Iterable[tuple[str, Device]]) -> dict[str, Source]:
    """Open the host's device nodes, to bind them where none can be made. Raise Unavailable.

    A process in a user namespace can make no nodes. (user_namespaces(7), mknod(2))
    """
    return {
        path: opener.open(_path_on_host(device, path))
        for path, device in devices
        if device.type != "p"
    }


class Devices:
    """The device nodes of one container; `sources` are nodes of the host to bind instead."""

    def __init__(
        self,
        program: Program,
        mounting: Mounts,
        devices: Iterable[tuple[str, Device]],
        sources: Mapping[str, Source],
    ) -> None:
        self._program = program
        self._mounting = mounting
        self._devices = devices
        self._sources = sources

    def make(self) -> None:
        """Make the nodes, or bind those of the host."""
        for path, device in self._devices:
            if path in self._sources:
                self._mounting.file(path)
                self._mounting.attach_at(path, self._sources[path])
            else:
                self._make(path, device)

    def link(self, *, proc_is_mounted: bool) -> None:
        """Make the links of /dev."""
        for target, path in _LINKS if proc_is_mounted else ():
            self._mounting.link(target, path)
        self._mounting.link("pts/ptmx", "/dev/ptmx")

    def _make(self, path: str, device: Device) -> None:
        self._mounting.directory(os.path.dirname(path))
        exists = Label()
        mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
        number = os.makedev(device.major, device.minor) if device.type != "p" else 0
        self._program.call(
            f"make the device {path}", syscalls.MKNODAT,
            AT_FDCWD, os.fsencode(path), KINDS[device.type] | mode, number,
            foreseen=[(errno.EEXIST, exists)],
        )  # fmt: skip
        if device.uid or device.gid:
            self._program.call(
                f"give {path} to its owner", syscalls.FCHOWNAT,
                AT_FDCWD, os.fsencode(path), device.uid or 0, device.gid or 0, 0,
            )  # fmt: skip
        self._program.place(exists)


def check_existing(
    devices: Iterable[tuple[str, Device]], status_of: Callable[[str], os.stat_result | None]
) -> None:
    """Check that the image has no other file at the path of a device.

    `status_of` returns the status of a file of the image, or None. Raise InvalidConfig. (OCI
    config-linux.md, "Devices")
    """
    for path, device in devices:
        status = status_of(path)
        if status is None:
            continue
        same_kind = stat.S_IFMT(status.st_mode) == KINDS[device.type]
        if not same_kind or status.st_rdev != os.makedev(device.major, device.minor):
            raise InvalidConfig(
                f"linux.devices: the image has another file at {path}: choose another path, or"
                " remove the file from the image."
            )


def _path_on_host(device: Device, path: str) -> str:
    """Return the path of the device on the host. Raise Unavailable."""
    kind = "block" if device.type == "b" else "char"
    for candidate in (path, f"/dev/{kind}/{device.major}:{device.minor}"):
        try:
            status = os.stat(candidate)
        except OSError:
            continue
        if stat.S_IFMT(status.st_mode) == KINDS[device.type] and status.st_rdev == os.makedev(
            device.major, device.minor
        ):
            return candidate
    raise Unavailable(
        f"linux.devices: this host has no device {device.major}:{device.minor} at {path}, and no"
        " device can be made in a user namespace: remove the device, or the user namespace."
    )

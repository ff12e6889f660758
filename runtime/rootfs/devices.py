"""A container's devices: those that every container has, and those that it asks for."""

from __future__ import annotations

import errno
import os
import stat

from runtime.errors import ContainerError
from runtime.launcher.program import Label
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.rootfs.mount_sources import inside
from runtime.spec.config import Device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.launcher.program import Program
    from runtime.rootfs.mount_sources import Opening, Source
    from runtime.rootfs.mounts import Mounts

# OCI config-linux.md, "Default Devices".
DEFAULT = tuple(
    Device(path=f"/dev/{name}", type="c", major=major, minor=minor, file_mode=0o666, uid=0, gid=0)
    for name, major, minor in (
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)  # fmt: skip
# OCI runtime-linux.md, "Dev symbolic links".
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)
KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def with_defaults(wanted: Iterable[Device]) -> dict[str, Device]:
    """What is asked for, and the default devices of which nothing is said, by their paths."""
    by_path = {device.path: device for device in DEFAULT}
    by_path.update((inside(device.path), device) for device in wanted)
    return by_path


def open_sources(opening: Opening, wanted: Iterable[tuple[str, Device]]) -> dict[str, Source]:
    """The host's nodes, to be bound where none may be made. Raises ContainerError.

    A process in a user namespace may make none. (user_namespaces(7), mknod(2))
    """
    return {
        path: opening.open(_of_host(device, path)) for path, device in wanted if device.type != "p"
    }


class Devices:
    """The device nodes of one container, in place of which those of the host may be bound."""

    def __init__(
        self,
        program: Program,
        mounting: Mounts,
        wanted: Iterable[tuple[str, Device]],
        sources: Mapping[str, Source],
    ) -> None:
        self._program = program
        self._mounting = mounting
        self._wanted = wanted
        self._sources = sources

    def make(self) -> None:
        """The nodes, and the links that lead to them."""
        for path, device in self._wanted:
            if path in self._sources:
                self._mounting.file(path)
                self._mounting.attach_at(path, self._sources[path])
            else:
                self._make(path, device)

    def link(self, *, proc_is_mounted: bool) -> None:
        """The links of /dev."""
        for target, path in _LINKS if proc_is_mounted else ():
            self._mounting.link(target, path)
        self._mounting.link("pts/ptmx", "/dev/ptmx")

    def _make(self, path: str, device: Device) -> None:
        self._mounting.directory(os.path.dirname(path))
        there = Label()
        mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
        number = os.makedev(device.major, device.minor) if device.type != "p" else 0
        self._program.call(
            f"make the device {path}", syscalls.MKNODAT,
            AT_FDCWD, os.fsencode(path), KINDS[device.type] | mode, number,
            foreseen=[(errno.EEXIST, there)],
        )  # fmt: skip
        if device.uid or device.gid:
            self._program.call(
                f"give {path} to its owner", syscalls.FCHOWNAT,
                AT_FDCWD, os.fsencode(path), device.uid or 0, device.gid or 0, 0,
            )  # fmt: skip
        self._program.place(there)


def check_existing(
    wanted: Iterable[tuple[str, Device]], found: Callable[[str], os.stat_result | None]
) -> None:
    """Refuse devices in whose place the image has something else; `found` tells what.

    Raises ContainerError. (OCI config-linux.md, "Devices")
    """
    for path, device in wanted:
        there = found(path)
        if there is None:
            continue
        same_kind = stat.S_IFMT(there.st_mode) == KINDS[device.type]
        if not same_kind or there.st_rdev != os.makedev(device.major, device.minor):
            raise ContainerError(f"linux.devices: {path} is there already and is something else.")


def _of_host(device: Device, path: str) -> str:
    """Where the host has the device. Raises ContainerError."""
    kind = "block" if device.type == "b" else "char"
    for candidate in (path, f"/dev/{kind}/{device.major}:{device.minor}"):
        try:
            found = os.stat(candidate)
        except OSError:
            continue
        if stat.S_IFMT(found.st_mode) == KINDS[device.type] and found.st_rdev == os.makedev(
            device.major, device.minor
        ):
            return candidate
    raise ContainerError(
        f"linux.devices: this host has no device {device.major}:{device.minor} at {path}, and in"
        " a user namespace none can be made."
    )

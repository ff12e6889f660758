"""The image store: a directory of golden images, which thin clones read from.

    STORE/NAME/disk.qcow2       never written to again
    STORE/NAME/kernel, initrd   of an image without a boot loader
    STORE/NAME/image.json       the image's source and digest

An image is built in a staging directory and renamed into place, so it is never there in part.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vms import paths
from vms.errors import AlreadyExists, InUse, InvalidDescription, InvalidImage, NotFound, os_error
from vms.linux import exchange
from vms.storage import disks, downloads, locks, qcow2, readers
from vms.storage.backing_file_policy import refuse_unsafe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_STAGING = re.compile(rf"\.{_NAME.pattern}\.\d+")
_DISK, _KERNEL, _INITRD, _RECORD = "disk.qcow2", "kernel", "initrd", "image.json"


@dataclass(frozen=True, slots=True)
class Image:
    """A golden image. `kernel` and `command_line` are set if it has no boot loader.

    `shares` are the kinds of shared directory that its kernel mounts, where that is known.
    """

    name: str
    digest: str
    virtual_bytes: int
    source: str
    created: str
    directory: Path
    command_line: str | None = None
    shares: tuple[str, ...] = ()

    @property
    def disk(self) -> Path:
        """The disk that clones read from."""
        return self.directory / _DISK

    @property
    def kernel(self) -> Path | None:
        """The kernel to boot the image with; None if its disk has a boot loader."""
        return None if self.command_line is None else self.directory / _KERNEL

    @property
    def initrd(self) -> Path | None:
        """The initial RAM disk of the kernel."""
        return None if self.command_line is None else self.directory / _INITRD


class Store:
    """The images of one directory; by default, of the host or of the user."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or paths.images()

    def images(self) -> list[Image]:
        """Return all images, sorted by name. Raises MachineError."""
        return [self._read(path.parent) for path in sorted(self.directory.glob(f"*/{_RECORD}"))]

    def find(self, name: str) -> Image:
        """Return the image of that name. Raises MachineError."""
        directory = self.directory / _checked(name)
        if not (directory / _RECORD).is_file():
            raise NotFound(
                f"There is no image {name} in {self.directory}: tonnage vm image list shows the"
                " images, tonnage vm image import adds one."
            )
        return self._read(directory)

    def add(
        self,
        name: str,
        source: str,
        disk: Path,
        kernel: Path,
        initrd: Path,
        command_line: str,
        shares: tuple[str, ...] = (),
    ) -> Image:
        """Add a disk without a boot loader, with its kernel. Raises MachineError."""
        with self._new(name) as staging:
            disks.copy(disk, staging / _DISK)
            disks.copy(kernel, staging / _KERNEL)
            disks.copy(initrd, staging / _INITRD)
            self._write(staging, name, source, command_line, shares)
        return self.find(name)

    def import_image(
        self,
        name: str,
        source: str,
        *,
        checksum: str | None = None,
        source_format: str = "qcow2",
        progress: Callable[[str], None] = lambda _: None,
    ) -> Image:
        """Add a cloud image from a path, or from a URL, which needs a checksum.

        An image that reads from another file, is compressed or of another format is refused before
        QEMU opens it. Raises MachineError, and then nothing was added.
        """
        with self._new(name) as staging:
            copy = staging / "source"
            downloads.take(source, copy, checksum, progress)
            refuse_unsafe(copy, source_format, ())
            if source_format == "qcow2":
                disks.check(copy)
                copy.rename(staging / _DISK)
            else:
                disks.convert(copy, source_format, staging / _DISK)
                copy.unlink()
            self._write(staging, name, source, None)
        return self.find(name)

    def remove(self, name: str) -> None:
        """Remove an image. Raises MachineError, also while a machine or a clone reads from it."""
        image = self.find(name)
        _refuse_used(image)
        staging = self._staging(name)
        image.directory.rename(staging)
        shutil.rmtree(staging)

    def resize(self, name: str, size_bytes: int) -> Image:
        """Enlarge an image's disk, for clones that are made later.

        Raises MachineError, also while a machine or a clone reads from the image.
        """
        image = self.find(name)
        _refuse_used(image)
        with self._new(name, replaces=image.directory) as staging:
            for path in image.directory.iterdir():
                disks.copy(path, staging / path.name)
            disks.resize(staging / _DISK, size_bytes)
            self._write(staging, name, image.source, image.command_line, image.shares)
        return self.find(name)

    @contextmanager
    def _new(self, name: str, replaces: Path | None = None) -> Iterator[Path]:
        """Yield a staging directory, which is renamed into place when the block succeeds."""
        directory = self.directory / _checked(name)
        if replaces is None and directory.exists():
            raise AlreadyExists(
                f"There is an image {name} already: remove it, or choose another name."
            )
        staging = self._staging(name)
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, staging, ignore_errors=True)
            try:
                lock = locks.try_lock(staging)
                if lock is not None:
                    undo.callback(os.close, lock)
                yield staging
                if replaces:
                    exchange(staging, directory)
                else:
                    staging.rename(directory)
            except OSError as error:
                raise os_error(f"Can't store image {name} in {self.directory}", error) from error

    def clean(self) -> list[str]:
        """Remove what killed imports, resizes and removals left; return a line for each."""
        removed = []
        for staging in sorted(self.directory.glob(".*")):
            if not _STAGING.fullmatch(staging.name) or not staging.is_dir():
                continue
            lock = locks.try_lock(staging)
            if lock is None:
                continue
            shutil.rmtree(staging, ignore_errors=True)
            os.close(lock)
            removed.append(f"removed {staging}")
        return removed

    def _staging(self, name: str) -> Path:
        return self.directory / f".{name}.{os.getpid()}"

    def _write(
        self,
        directory: Path,
        name: str,
        source: str,
        command_line: str | None,
        shares: tuple[str, ...] = (),
    ) -> None:
        record = {
            "name": name,
            "digest": f"sha256:{file_digest(directory / _DISK)}",
            "virtual_bytes": qcow2.read(directory / _DISK).virtual_bytes,
            "source": os.fsencode(source).decode(errors="backslashreplace"),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command_line": command_line,
            "shares": shares,
        }
        (directory / _RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))

    def _read(self, directory: Path) -> Image:
        try:
            record = msgspec.json.decode((directory / _RECORD).read_bytes(), type=dict[str, object])
            return msgspec.convert({**record, "directory": directory}, Image)
        except (OSError, msgspec.MsgspecError) as error:
            raise InvalidImage(
                f"{directory / _RECORD} can't be read: {error}: remove {directory}, and add the"
                " image again."
            ) from error


def _refuse_used(image: Image) -> None:
    """Raise InUse if a machine or another image reads from the image."""
    for reader in readers.find(image.disk):
        raise InUse(
            f"{_owner(reader)} reads from image {image.name}: remove the machine first, or the"
            f" disk that remained when it was undefined ({reader})."
        )
    if readers.is_open(image.disk):
        raise InUse(f"A running machine reads from image {image.name}: stop the machine first.")


def _owner(disk: Path) -> str:
    """Return the machine whose directory contains a disk, else the disk's path."""
    parents = {directory.resolve() for directory in (paths.machines(), paths.roots())}
    if disk.resolve().parent.parent not in parents:
        return str(disk)
    if disk.resolve().parent.parent == paths.roots().resolve():
        return f"A machine that process {disk.parent.name} runs"
    return f"Machine {disk.parent.name}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidDescription(
            f"{name!r} is not a valid name for an image: use up to 64 letters, digits and _ . -,"
            " with a letter or digit first."
        )
    return name

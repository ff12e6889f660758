"""The image store: a directory of golden images by name, each with its digest, for thin clones.

    STORE/NAME/disk.qcow2       never written to again: clones read from it
    STORE/NAME/kernel, initrd   of an image that has no boot loader
    STORE/NAME/image.json       where it came from, and its digest

An image is built aside and renamed into place: it is there whole, or not at all.
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
from vms.errors import MachineError
from vms.storage import disks, downloads, locks, qcow2, readers
from vms.storage.backing_file_policy import refuse_unsafe
from vms.storage.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ASIDE = re.compile(rf"\.{_NAME.pattern}\.\d+")
_DISK, _KERNEL, _INITRD, _RECORD = "disk.qcow2", "kernel", "initrd", "image.json"


@dataclass(frozen=True, slots=True)
class Image:
    """One golden image. `kernel` and `command_line` are set if it has no boot loader.

    `shares` are the kinds of directory that its kernel mounts, where that is known.
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
        """The kernel to boot it with; None if its disk brings one."""
        return None if self.command_line is None else self.directory / _KERNEL

    @property
    def initrd(self) -> Path | None:
        """What goes with the kernel."""
        return None if self.command_line is None else self.directory / _INITRD


class Store:
    """The images of one directory; by default, of the host or of the user."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or paths.images()

    def images(self) -> list[Image]:
        """All of them, by name."""
        return [self._read(path.parent) for path in sorted(self.directory.glob(f"*/{_RECORD}"))]

    def find(self, name: str) -> Image:
        """The image of that name. Raises MachineError."""
        directory = self.directory / _checked(name)
        if not (directory / _RECORD).is_file():
            raise MachineError(
                f"There is no image {name} in {self.directory}: tonnage vm image list shows what"
                " there is, tonnage vm image import brings one."
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
        """An image of a disk without a boot loader, and what boots it. Raises MachineError."""
        with self._new(name) as aside:
            disks.copy(disk, aside / _DISK)
            disks.copy(kernel, aside / _KERNEL)
            disks.copy(initrd, aside / _INITRD)
            self._write(aside, name, source, command_line, shares)
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
        """Take in a cloud image by its path or its URL, which needs a checksum.

        It is looked at before QEMU opens it: one that reads from another file, is packed or of
        another format is refused. Raises MachineError, and then nothing was added.
        """
        with self._new(name) as aside:
            taken = aside / "source"
            downloads.take(source, taken, checksum, progress)
            refuse_unsafe(taken, source_format, ())
            if source_format == "qcow2":
                disks.check(taken)
                taken.rename(aside / _DISK)
            else:
                disks.convert(taken, source_format, aside / _DISK)
                taken.unlink()
            self._write(aside, name, source, None)
        return self.find(name)

    def remove(self, name: str) -> None:
        """Remove an image that no machine and no clone reads from. Raises MachineError."""
        image = self.find(name)
        _refuse_used(image)
        aside = self._aside(name)
        image.directory.rename(aside)
        shutil.rmtree(aside)

    def resize(self, name: str, size_bytes: int) -> Image:
        """Make an image's disk larger; clones made from then on are. Raises MachineError.

        That is refused, as its removal is, while a machine or a clone reads from it.
        """
        image = self.find(name)
        _refuse_used(image)
        with self._new(name, replaces=image.directory) as aside:
            for path in image.directory.iterdir():
                disks.copy(path, aside / path.name)
            disks.resize(aside / _DISK, size_bytes)
            self._write(aside, name, image.source, image.command_line, image.shares)
        return self.find(name)

    @contextmanager
    def _new(self, name: str, replaces: Path | None = None) -> Iterator[Path]:
        """A directory to build an image in; renamed into place when the block ends well."""
        directory = self.directory / _checked(name)
        if replaces is None and directory.exists():
            raise MachineError(f"There is an image {name} already: remove it, or name another.")
        aside = self._aside(name)
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, aside, ignore_errors=True)
            try:
                held = locks.try_lock(aside)
                if held is not None:
                    undo.callback(os.close, held)
                yield aside
                if replaces:
                    exchange(aside, directory)
                else:
                    aside.rename(directory)
            except OSError as error:
                why = error.strerror or error
                raise MachineError(
                    f"Can't keep image {name} in {self.directory}: {why}."
                ) from error

    def clean(self) -> list[str]:
        """Remove what killed imports, resizes and removals left; what was done, a line each."""
        done = []
        for aside in sorted(self.directory.glob(".*")):
            if not _ASIDE.fullmatch(aside.name) or not aside.is_dir():
                continue
            held = locks.try_lock(aside)
            if held is None:
                continue
            shutil.rmtree(aside, ignore_errors=True)
            os.close(held)
            done.append(f"removed {aside}")
        return done

    def _aside(self, name: str) -> Path:
        return self.directory / f".{name}.{os.getpid()}"

    def _write(
        self,
        aside: Path,
        name: str,
        source: str,
        command_line: str | None,
        shares: tuple[str, ...] = (),
    ) -> None:
        record = {
            "name": name,
            "digest": f"sha256:{file_digest(aside / _DISK)}",
            "virtual_bytes": qcow2.read(aside / _DISK).virtual_bytes,
            "source": os.fsencode(source).decode(errors="backslashreplace"),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command_line": command_line,
            "shares": shares,
        }
        (aside / _RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))

    def _read(self, directory: Path) -> Image:
        try:
            record = msgspec.json.decode((directory / _RECORD).read_bytes(), type=dict[str, object])
            return msgspec.convert({**record, "directory": directory}, Image)
        except (OSError, msgspec.MsgspecError) as error:
            raise MachineError(f"{directory / _RECORD} can't be read: {error}.") from error


def _refuse_used(image: Image) -> None:
    for reader in readers.of(image.disk):
        raise MachineError(
            f"{_owner(reader)} reads from image {image.name}: remove it first, or what it left when"
            f" it was undefined ({reader})."
        )
    if readers.is_open(image.disk):
        raise MachineError(f"A machine that runs reads from image {image.name}: stop it first.")


def _owner(disk: Path) -> str:
    """The machine whose folder a disk lies in, else the disk itself."""
    parents = {directory.resolve() for directory in (paths.machines(), paths.roots())}
    if disk.resolve().parent.parent not in parents:
        return str(disk)
    if disk.resolve().parent.parent == paths.roots().resolve():
        return f"A machine that process {disk.parent.name} runs"
    return f"Machine {disk.parent.name}"


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise MachineError(f"{name!r} is no name for an image: letters, digits, _ . -.")
    return name

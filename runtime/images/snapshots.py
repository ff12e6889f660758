"""Snapshots: unpacked layers by their chain IDs, each unpacked once and shared by overlayfs.

A snapshot is the overlayfs layer `NAME/fs`. It is written under another name and renamed when it is
complete. NAME is short because mount(2) limits the options for all layers to one page.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import InvalidConfig, Unavailable
from runtime.images import archive_pipes
from runtime.images.file_attributes import OVERLAY
from runtime.images.layer import Limits
from runtime.images.lower_layers import LayersMissing
from runtime.images.mapped_reader import DEVICES
from runtime.linux.libc import call

_NAME_DIGITS = 20
_NEW = ".new-"
_SIZE = "size-bytes"
_UNSYNCED = "unsynced"
_PAUSE_SECONDS = 0.1  # between two syncs, while layers are unpacked
_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); from runtime.images.unpacker import main; main()"
)


def no_note(_: str) -> None:
    """Ignore a note."""


class Snapshots:
    """The snapshots in `directory`, which is created if it is missing.

    In a user namespace owners that are not mapped are refused; with `squash` their files belong to
    root. `note` is called with a sentence about files that could not be unpacked there.
    """

    def __init__(
        self,
        directory: Path,
        *,
        squash: bool = False,
        note: Callable[[str], None] = no_note,
    ) -> None:
        self.directory = directory
        self._squash = squash
        self._note = note
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, chain_id: str) -> bool:
        """Return True if the snapshot exists."""
        return (self.directory / name_of(chain_id)).is_dir()

    def layers(self, chain_ids: Sequence[str]) -> list[Path]:
        """Return the directories of a chain, topmost first, as overlayfs takes them."""
        return [self.directory / name_of(each) / "fs" for each in reversed(chain_ids)]

    @contextmanager
    def locked(self, chain_id: str) -> Iterator[bool]:
        """Lock a snapshot. Yield True if it exists already.

        If two processes unpack one layer, the second waits for the first.
        """
        with open(self.directory / f".{name_of(chain_id)}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.has(chain_id)

    def unpack(
        self, chain_ids: Sequence[str], archive: Iterable[bytes], limits: Limits
    ) -> dict[str, int]:
        """Unpack the archive of the last layer of a chain over the layers below it.

        `archive` yields the tar stream. After any error nothing is left. Return how
        many extended attributes and devices were skipped, by name. Raise InvalidConfig for a layer
        that is refused, Unavailable where the host refuses.
        """
        return self.unpack_early(chain_ids, lambda: archive, limits, None)

    def unpack_early(
        self,
        chain_ids: Sequence[str],
        archive: Callable[[], Iterable[bytes]],
        limits: Limits,
        below: Future[None] | None,
    ) -> dict[str, int]:
        """Unpack the last layer of a chain while those below it may still be unpacked.

        `below` is done when the layers below are there; None if there are none. The snapshot
        appears after them. `archive` may be called a second time, if what was assumed of the
        layers below is wrong. Otherwise as `unpack`.
        """
        *lower, chain_id = chain_ids
        with self.new(lower, name_of(chain_id)) as new:
            try:
                skipped = new.fill(archive(), limits, below)
            except LayersMissing:
                new.clear()
                skipped = new.fill(archive(), limits)
            except Unavailable:
                if below and below.done():
                    below.result()  # the cause, if it failed
                raise
            if below:
                below.result()
            new.commit(chain_id)
        self._tell(skipped)
        return skipped

    @contextmanager
    def new(self, below: Sequence[str], name: str) -> Iterator[NewSnapshot]:
        """Yield a new snapshot on top of a chain. It is removed unless it is committed."""
        path = self.directory / f"{_NEW}{name}"
        _remove(path)
        (path / "merged").mkdir(parents=True)
        try:
            lower = [name_of(each) for each in reversed(below)]
            new = NewSnapshot(path, lower, squash=self._squash)
            new.clear()
            yield new
        finally:
            _remove(path)

    def _tell(self, skipped: dict[str, int]) -> None:
        if count := skipped.get(DEVICES):
            self._note(f"A layer has {count} devices, which only the host's root may create.")

    def size_bytes(self, chain_ids: Sequence[str]) -> int:
        """Return the size of the files in the unpacked layers of a chain."""
        sizes = (self.directory / name_of(each) / _SIZE for each in chain_ids)
        return sum(int(path.read_text("ascii")) for path in sizes if path.exists())

    def sync(self, chain_ids: Sequence[str]) -> None:
        """Return once the snapshots of a chain are on the disk, whichever process unpacked them."""
        marks = [self.directory / name_of(each) / _UNSYNCED for each in chain_ids]
        unsynced = [mark for mark in marks if mark.exists()]
        if unsynced:
            self.write()
            for mark in unsynced:
                mark.unlink(missing_ok=True)

    def write(self) -> None:
        """Write everything to the disk that is on its file system. (syncfs(2))"""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            call("syncfs", descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def written_meanwhile(self) -> Iterator[None]:
        """Write snapshots to the disk during the block, so that little is left for `sync`."""
        ended = threading.Event()

        def write() -> None:
            while not ended.wait(_PAUSE_SECONDS):
                self.write()

        thread = threading.Thread(target=write, name="sync")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def remove_all_but(self, chain_ids: set[str]) -> int:
        """Remove the snapshots of other chains and leftovers. Return the number of snapshots."""
        names = {name_of(each) for each in chain_ids}
        removed = 0
        for path in self.directory.iterdir():
            if path.name.endswith(".lock") or path.name.removeprefix(_NEW) in names:
                continue
            _remove(path)
            removed += not path.name.startswith(".")
        return removed


class NewSnapshot:
    """A snapshot that is not committed. `files` is the directory of its layer."""

    def __init__(self, path: Path, lower: list[str], *, squash: bool) -> None:
        self._path = path
        self._squash = squash
        self._lower = lower
        self.files = path / "fs"
        self._size_bytes = 0
        self._sets_root = False

    def clear(self) -> None:
        """Empty the directory of the layer."""
        if self.files.exists():
            _remove(self.files)
        self.files.mkdir()
        self.files.chmod(0o755)

    def fill(
        self, archive: Iterable[bytes], limits: Limits, below: Future[None] | None = None
    ) -> dict[str, int]:
        """Unpack an archive on top of the lower layers. See `Snapshots.unpack`.

        With `below`, the lower layers are complete when it is done. Raise LayersMissing if what was
        assumed of them meanwhile is wrong.
        """
        with _Ready(below) as ready:
            outcome = self._run(archive, limits, ready.descriptor)
        self._size_bytes = outcome["size_bytes"]
        self._sets_root = self._sets_root or outcome["sets_root"]
        skipped: dict[str, int] = outcome["skipped"]
        return skipped

    def take(self, upper: Path, size_bytes: int) -> None:
        """Use the upper directory of an overlay as the layer."""
        _remove(self.files)
        upper.rename(self.files)
        self._size_bytes = size_bytes

    def commit(self, chain_id: str) -> None:
        """Publish the snapshot, unless another process did so meanwhile."""
        (self._path / _SIZE).write_text(str(self._size_bytes), "ascii")
        (self._path / _UNSYNCED).touch()
        if not self._sets_root:
            self._inherit_root()
        _remove(self._path / "merged")
        final = self._path.parent / name_of(chain_id)
        if not final.exists():
            self._path.rename(final)

    def _inherit_root(self) -> None:
        """Give the root directory the attributes that it has in the layer below.

        overlayfs shows those of the topmost layer. Without a layer below, its time is 0, so that an
        image is the same in each store.
        """
        if not self._lower:
            os.utime(self.files, ns=(0, 0))
            return
        below = self._path.parent / self._lower[0] / "fs"
        status = below.stat()
        os.chown(self.files, status.st_uid, status.st_gid)
        self.files.chmod(stat.S_IMODE(status.st_mode))
        for name in os.listxattr(below):
            if not name.startswith(OVERLAY):
                os.setxattr(self.files, name, os.getxattr(below, name))
        os.utime(self.files, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _run(self, archive: Iterable[bytes], limits: Limits, ready: int | None) -> dict[str, Any]:
        request = {
            "snapshots": str(self._path.parent), "new": self._path.name, "lower": self._lower,
            "size_bytes": limits.size_bytes, "entries": limits.entries, "ready": ready,
            "squash": self._squash,
        }  # fmt: skip
        # Without `site`, whose imports would take longer than a small layer.
        command = [sys.executable, "-ISXutf8", "-c", _PROGRAM, str(_PACKAGES), json.dumps(request)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            pass_fds=[] if ready is None else [ready],
        ) as process:  # fmt: skip
            assert process.stdout
            archive_pipes.write(process, archive)
            document = process.stdout.read()
        outcome: dict[str, Any] = json.loads(document or "{}")
        if "layers_missing" in outcome:
            raise LayersMissing
        if why := outcome.get("refused"):
            raise InvalidConfig(why)
        if "skipped" not in outcome:
            why = outcome.get("failed") or f"its process ended with {process.returncode}"
            raise Unavailable(f"The layer could not be unpacked: {why}.")
        return outcome


class _Ready:
    """A pipe that ends when a future is done; a context manager. `descriptor` is its read end.

    `descriptor` is None without a future, or if it is done already.
    """

    def __init__(self, below: Future[None] | None) -> None:
        self._below = None if below is None or below.done() else below
        self.descriptor: int | None = None

    def __enter__(self) -> _Ready:
        if self._below is not None:
            self.descriptor, written = os.pipe()
            end = os.fdopen(written, "wb")
            self._below.add_done_callback(lambda _: end.close())
        return self

    def __exit__(self, *_: object) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def name_of(chain_id: str) -> str:
    """Return the directory's name of a chain's snapshot."""
    return chain_id.partition(":")[2][:_NAME_DIGITS]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

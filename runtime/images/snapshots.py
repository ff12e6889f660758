"""Snapshots: unpacked layers by their chain IDs, each unpacked once and shared by overlayfs.

A snapshot is `NAME/fs`, an overlayfs layer. It is made aside and renamed, so that one that is there
is whole; NAME is short since mount(2) takes one page of options for all layers.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import InvalidConfig, Unavailable
from runtime.images.layer import Limits

_NAME_DIGITS = 20
_NEW = ".new-"
_SIZE = "size-bytes"
_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); from runtime.images.unpacker import main; main()"
)


class Snapshots:
    """The snapshots in `directory`, which is made if it is not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def has(self, chain_id: str) -> bool:
        """Return True if the snapshot is there."""
        return (self.directory / name_of(chain_id)).is_dir()

    def layers(self, chain_ids: Sequence[str]) -> list[Path]:
        """Return the directories of a chain, topmost first, as overlayfs takes them."""
        return [self.directory / name_of(each) / "fs" for each in reversed(chain_ids)]

    @contextmanager
    def locked(self, chain_id: str) -> Iterator[bool]:
        """Hold a snapshot's lock; give True if the snapshot is there already.

        Of two processes that unpack one layer the second waits, and finds it unpacked.
        """
        with open(self.directory / f".{name_of(chain_id)}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.has(chain_id)

    def unpack(
        self, chain_ids: Sequence[str], archive: Iterable[bytes], limits: Limits
    ) -> dict[str, int]:
        """Unpack the archive of the last layer of a chain over the layers below it.

        `archive` gives the tar stream; an error that it raises leaves nothing behind. Return how
        many extended attributes were skipped, by name. Raises InvalidConfig for a layer that is
        refused, Unavailable where the host refuses.
        """
        *below, chain_id = chain_ids
        with self.new(below, name_of(chain_id)) as new:
            skipped = new.fill(archive, limits)
            new.commit(chain_id)
        return skipped

    @contextmanager
    def new(self, below: Sequence[str], name: str) -> Iterator[NewSnapshot]:
        """Give a snapshot over a chain that is to be filled; it is gone unless it is committed."""
        path = self.directory / f"{_NEW}{name}"
        _remove(path)
        for part in ("fs", "work", "merged"):
            (path / part).mkdir(parents=True)
        (path / "fs").chmod(0o755)
        try:
            yield NewSnapshot(path, [name_of(each) for each in reversed(below)])
        finally:
            _remove(path)

    def size_bytes(self, chain_ids: Sequence[str]) -> int:
        """Return how many bytes the files of a chain's layers hold; 0 for what is not unpacked."""
        sizes = (self.directory / name_of(each) / _SIZE for each in chain_ids)
        return sum(int(path.read_text("ascii")) for path in sizes if path.exists())

    def sync(self) -> None:
        """Return once all snapshots are on the disk. (syncfs(2))"""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _syncfs(descriptor)
        finally:
            os.close(descriptor)

    def remove_all_but(self, chain_ids: set[str]) -> int:
        """Remove the snapshots of other chains, and what killed processes left; return how many."""
        names = {name_of(each) for each in chain_ids}
        removed = 0
        for path in self.directory.iterdir():
            if path.name.endswith(".lock") or path.name.removeprefix(_NEW) in names:
                continue
            _remove(path)
            removed += not path.name.startswith(".")
        return removed


class NewSnapshot:
    """A snapshot that nobody sees yet; `files` is where its layer lies."""

    def __init__(self, path: Path, lower: list[str]) -> None:
        self._path = path
        self._lower = lower
        self.files = path / "fs"
        self._size_bytes = 0

    def fill(self, archive: Iterable[bytes], limits: Limits) -> dict[str, int]:
        """Unpack an archive over the layers below, as `Snapshots.unpack` does."""
        outcome = self._run(archive, limits)
        self._size_bytes = outcome["size_bytes"]
        skipped: dict[str, int] = outcome["skipped"]
        return skipped

    def take(self, upper: Path, size_bytes: int) -> None:
        """Take the directory that an overlay's changes were written to."""
        _remove(self.files)
        upper.rename(self.files)
        self._size_bytes = size_bytes

    def commit(self, chain_id: str) -> None:
        """Give the snapshot its name; if another process made it meanwhile, that one stays."""
        (self._path / _SIZE).write_text(str(self._size_bytes), "ascii")
        _remove(self._path / "work")
        _remove(self._path / "merged")
        final = self._path.parent / name_of(chain_id)
        if not final.exists():
            self._path.rename(final)

    def _run(self, archive: Iterable[bytes], limits: Limits) -> dict[str, Any]:
        request = {
            "snapshots": str(self._path.parent), "new": self._path.name, "lower": self._lower,
            "size_bytes": limits.size_bytes, "entries": limits.entries,
        }  # fmt: skip
        # Without `site`, whose imports would take longer than a small layer.
        command = [sys.executable, "-ISXutf8", "-c", _PROGRAM, str(_PACKAGES), json.dumps(request)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin and process.stdout
            try:
                for piece in archive:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it has refused something, and says so
            except BaseException:
                process.kill()
                raise
            document = process.stdout.read()
        outcome: dict[str, Any] = json.loads(document or "{}")
        if why := outcome.get("refused"):
            raise InvalidConfig(why)
        if "skipped" not in outcome:
            why = outcome.get("failed") or f"its process ended with {process.returncode}"
            raise Unavailable(f"The layer could not be unpacked: {why}.")
        return outcome


def name_of(chain_id: str) -> str:
    """Return the directory's name of a chain's snapshot."""
    return chain_id.partition(":")[2][:_NAME_DIGITS]


def _syncfs(descriptor: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

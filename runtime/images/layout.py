"""An OCI image layout on disk: blobs by their digests, and an index that names images.

skopeo and umoci read the directory as it is. (OCI image-spec, image-layout.md)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from runtime.errors import CorruptState, InvalidConfig, NotFound
from runtime.images import manifest
from runtime.images.manifest import Descriptor, Index

NAME = "org.opencontainers.image.ref.name"
_VERSION = {"imageLayoutVersion": "1.0.0"}
_PIECE_BYTES = 1 << 20


class Layout:
    """A layout in `directory`, which is created if it is missing.

    Readers see complete files only: an index and a blob are written under another name and
    renamed. With `synced` they are synced to the disk before they are renamed.
    """

    def __init__(self, directory: Path, *, synced: bool = True) -> None:
        self.directory = directory
        self._synced = synced
        for name in ("blobs/sha256", "blobs/sha512", "partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        if not (directory / "oci-layout").exists():
            self._replace("oci-layout", json.dumps(_VERSION).encode())

    def path(self, digest: str) -> Path:
        """Return the path of a blob, which may not exist."""
        algorithm, _, digits = digest.partition(":")
        return self.directory / "blobs" / algorithm / digits

    def has(self, blob: Descriptor) -> bool:
        """Return True if the blob exists in its full size."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    def read(self, digest: str) -> bytes:
        """Return a small blob, such as a manifest. Raise NotFound, CorruptState."""
        try:
            document = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"The image store has no blob {digest}.") from None
        if _digest(digest, document) != digest:
            raise CorruptState(
                f"{self.path(digest)} is damaged: remove the image and pull it again."
            )
        return document

    def add(self, document: bytes) -> str:
        """Add a small blob. Return its digest."""
        digest = manifest.digest_of(document)
        if not self.path(digest).exists():
            self._replace(str(self.path(digest).relative_to(self.directory)), document)
        return digest

    @contextmanager
    def partial(self, blob: Descriptor) -> Iterator[IO[bytes] | None]:
        """Yield the file to write a blob to, open at its end.

        The file may hold the beginning of the blob from an earlier, interrupted transfer. If two
        processes fetch one blob, the second waits for the first. Yield None if the blob is
        complete. Call `keep` when all bytes are written.
        """
        with open(self.partial_path(blob), "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.has(blob):
                self.partial_path(blob).unlink(missing_ok=True)
                yield None
            else:
                # Another process may have renamed the opened file meanwhile.
                with ExitStack() as reopened:
                    current = file
                    if not _is_at(file, self.partial_path(blob)):
                        current = reopened.enter_context(open(self.partial_path(blob), "a+b"))
                        fcntl.flock(current, fcntl.LOCK_EX)
                    yield current

    def keep(self, blob: Descriptor, file: IO[bytes]) -> None:
        """Rename a written partial file to its blob.

        Remove it and raise InvalidConfig if its digest or size is wrong.
        """
        file.flush()
        size_bytes = os.fstat(file.fileno()).st_size
        file.seek(0)
        digest = hashlib.new(blob.digest.partition(":")[0])
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        self.keep_checked(blob, file, size_bytes, digest.hexdigest())

    def keep_checked(self, blob: Descriptor, file: IO[bytes], size_bytes: int, digits: str) -> None:
        """Do the same as `keep`, with a size and a digest that are already known."""
        algorithm, _, expected = blob.digest.partition(":")
        if (size_bytes, digits) != (blob.size, expected):
            self.partial_path(blob).unlink(missing_ok=True)
            came = f"{size_bytes} bytes with the digest {algorithm}:{digits}"
            raise InvalidConfig(f"The blob {blob.digest} of {blob.size} bytes came as {came}.")
        file.flush()
        if self._synced:
            os.fsync(file.fileno())
        self.partial_path(blob).rename(self.path(blob.digest))

    def adopt(self, blob: Descriptor, file: IO[bytes], path: Path) -> None:
        """Rename the file at `path`, whose digest is known, to a blob."""
        file.flush()
        if self._synced:
            os.fsync(file.fileno())
        path.rename(self.path(blob.digest))

    def images(self) -> list[tuple[str, Descriptor]]:
        """Return every name with its manifest or index. Raise CorruptState."""
        return [
            (each.annotations[NAME], each)
            for each in self._index().manifests
            if NAME in each.annotations
        ]

    def find(self, name: str) -> Descriptor:
        """Return the manifest or index of a name. Raise NotFound."""
        for each, descriptor in self.images():
            if each == name:
                return descriptor
        raise NotFound(f"There is no image {name}: pull, load or build it.")

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Set the manifest or index of a name."""
        with self._changing() as entries:
            entries[:] = [each for each in entries if each.annotations.get(NAME) != name]
            entries.append(_named(descriptor, name))

    def untag(self, name: str) -> Descriptor:
        """Remove a name. Return its manifest or index. Raise NotFound."""
        with self._changing() as entries:
            for each in entries:
                if each.annotations.get(NAME) == name:
                    entries.remove(each)
                    return each
        raise NotFound(f"There is no image {name}.")

    def blobs(self) -> Iterator[tuple[str, Path]]:
        """Yield the digest and the path of every blob."""
        for algorithm in (self.directory / "blobs").iterdir():
            for path in algorithm.iterdir():
                yield f"{algorithm.name}:{path.name}", path

    def partials(self) -> Iterator[Path]:
        """Yield the path of every incomplete blob."""
        yield from (self.directory / "partial").iterdir()

    def remove_partial(self, path: Path) -> int:
        """Remove an incomplete blob or a leftover. Return the number of bytes that it had.

        A file that another process has locked is in use, and is left.
        """
        if path.is_dir():
            shutil.rmtree(path)
            return 0
        with suppress(FileNotFoundError), open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            path.unlink()
            return os.fstat(file.fileno()).st_size
        return 0

    def partial_path(self, blob: Descriptor) -> Path:
        """Return the path of a blob while it is incomplete."""
        return self.directory / "partial" / blob.digest.replace(":", "-")

    def _index(self) -> Index:
        path = self.directory / "index.json"
        try:
            document = path.read_bytes()
        except FileNotFoundError:
            return Index(2, [], manifest.INDEX)
        index = manifest.decode_manifest(document, manifest.INDEX, str(path))
        if not isinstance(index, Index):
            raise CorruptState(f"{path} is not an index.")
        return index

    @contextmanager
    def _changing(self) -> Iterator[list[Descriptor]]:
        """Yield the entries of the index for a change. One process changes them at a time."""
        with open(self.directory / "index.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = list(self._index().manifests)
            yield entries
            self._replace("index.json", manifest.encode(Index(2, entries, manifest.INDEX)))

    def _replace(self, name: str, document: bytes) -> None:
        """Write a file under another name, sync it, and rename it."""
        aside = self.directory / "partial" / f".{name.replace('/', '-')}.{os.getpid()}"
        with open(aside, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # against garbage collection
            file.write(document)
            file.flush()
            if self._synced:
                os.fsync(file.fileno())
            aside.rename(self.directory / name)


def _named(descriptor: Descriptor, name: str) -> Descriptor:
    annotations = {**descriptor.annotations, NAME: name}
    return Descriptor(
        descriptor.media_type, descriptor.digest, descriptor.size, descriptor.platform, annotations
    )


def _digest(like: str, document: bytes) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, document).hexdigest()}"


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Return True if the path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False

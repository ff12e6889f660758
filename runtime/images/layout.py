"""An OCI image layout on disk: blobs by their digests, and an index that names images.

skopeo and umoci read the directory as it is. (OCI image-spec, image-layout.md)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from runtime.errors import CorruptState, InvalidConfig, NotFound
from runtime.images import manifest
from runtime.images.manifest import Descriptor, Index

NAME = "org.opencontainers.image.ref.name"
_VERSION = {"imageLayoutVersion": "1.0.0"}
_PIECE_BYTES = 1 << 20


class Layout:
    """A layout in `directory`, which is made if it is not there.

    Whoever reads sees an index and blobs that are whole: both are written aside and renamed.
    With `synced` they are on the disk before they get their names.
    """

    def __init__(self, directory: Path, *, synced: bool = True) -> None:
        self.directory = directory
        self._synced = synced
        for name in ("blobs/sha256", "blobs/sha512", "partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        if not (directory / "oci-layout").exists():
            self._replace("oci-layout", json.dumps(_VERSION).encode())

    def path(self, digest: str) -> Path:
        """Return where a blob is or would be."""
        algorithm, _, digits = digest.partition(":")
        return self.directory / "blobs" / algorithm / digits

    def has(self, blob: Descriptor) -> bool:
        """Return True if the blob is there in its full size."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    def read(self, digest: str) -> bytes:
        """Return a small blob, such as a manifest. Raises NotFound, CorruptState."""
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
        """Keep a small blob; return its digest."""
        digest = manifest.digest_of(document)
        if not self.path(digest).exists():
            self._replace(str(self.path(digest).relative_to(self.directory)), document)
        return digest

    @contextmanager
    def partial(self, blob: Descriptor) -> Iterator[IO[bytes] | None]:
        """Give the file that a blob is written to, at the end of what is there of it already.

        None if the blob is whole by then: of two processes that fetch one blob, the second waits
        and takes what the first has fetched. What is written stays if the block is left by an
        error, so that a later one goes on from there. `keep` gives the blob its name.
        """
        with open(self.partial_path(blob), "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.has(blob):
                self.partial_path(blob).unlink(missing_ok=True)
                yield None
            else:
                # The process before us may have renamed the file that we have opened.
                with ExitStack() as reopened:
                    current = file
                    if not _is_at(file, self.partial_path(blob)):
                        current = reopened.enter_context(open(self.partial_path(blob), "a+b"))
                        fcntl.flock(current, fcntl.LOCK_EX)
                    yield current

    def keep(self, blob: Descriptor, file: IO[bytes]) -> None:
        """Give a blob that was written to its partial file its name.

        What is not of the digest and size that were said goes. Raises InvalidConfig.
        """
        file.flush()
        size_bytes = os.fstat(file.fileno()).st_size
        file.seek(0)
        digest = hashlib.new(blob.digest.partition(":")[0])
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
        self.keep_checked(blob, file, size_bytes, digest.hexdigest())

    def keep_checked(self, blob: Descriptor, file: IO[bytes], size_bytes: int, digits: str) -> None:
        """Do as `keep`, by the size and the digest that were taken while it was written."""
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
        """Give a file at `path` whose digest is known a blob's name."""
        file.flush()
        if self._synced:
            os.fsync(file.fileno())
        path.rename(self.path(blob.digest))

    def images(self) -> list[tuple[str, Descriptor]]:
        """Return every name with the manifest or index that it stands for. Raises CorruptState."""
        return [
            (each.annotations[NAME], each)
            for each in self._index().manifests
            if NAME in each.annotations
        ]

    def find(self, name: str) -> Descriptor:
        """Return the manifest or index of a name. Raises NotFound."""
        for each, descriptor in self.images():
            if each == name:
                return descriptor
        raise NotFound(f"There is no image {name}: pull, load or build it.")

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Give a manifest or an index a name, which may have stood for another one."""
        with self._changing() as entries:
            entries[:] = [each for each in entries if each.annotations.get(NAME) != name]
            entries.append(_named(descriptor, name))

    def untag(self, name: str) -> Descriptor:
        """Take a name away; return what it stood for. Raises NotFound."""
        with self._changing() as entries:
            for each in entries:
                if each.annotations.get(NAME) == name:
                    entries.remove(each)
                    return each
        raise NotFound(f"There is no image {name}.")

    def blobs(self) -> Iterator[tuple[str, Path]]:
        """Give every blob by its digest, and its file."""
        for algorithm in (self.directory / "blobs").iterdir():
            for path in algorithm.iterdir():
                yield f"{algorithm.name}:{path.name}", path

    def partials(self) -> Iterator[Path]:
        """Give every file of a blob that is not whole."""
        yield from (self.directory / "partial").iterdir()

    def partial_path(self, blob: Descriptor) -> Path:
        """Return where a blob is until it is whole."""
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
        """Give the index's entries to change, one process at a time."""
        with open(self.directory / "index.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = list(self._index().manifests)
            yield entries
            self._replace("index.json", manifest.encode(Index(2, entries, manifest.INDEX)))

    def _replace(self, name: str, document: bytes) -> None:
        """Write a file aside, sync it, and rename it over the one of that name."""
        aside = self.directory / "partial" / f".{name.replace('/', '-')}.{os.getpid()}"
        with open(aside, "wb") as file:
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
    """Return True if an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False

"""Manifests and blobs of one repository: fetched with resumption, uploaded, mounted.

(distribution-spec, "Pulling", "Pushing"; RFC 9110, "Range Requests")
"""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Generator, Iterator
from typing import IO

from runtime.errors import InvalidConfig, NotFound, Unavailable
from runtime.images import manifest
from runtime.images.manifest import Descriptor
from runtime.images.reference import Reference
from runtime.images.registry.http import CutOff, Options, Registry
from runtime.images.registry.upload import Upload

_PIECE_BYTES = 1 << 18
_RESUMPTIONS = 5
_PAUSE_SECONDS = 0.5
_ACCEPTED = ", ".join((*manifest.MANIFESTS, *manifest.INDEXES))


class Repository:
    """A repository of a registry, for pulling or for pulling and pushing."""

    def __init__(self, reference: Reference, options: Options, *, writable: bool = False) -> None:
        self.name = reference.name
        self._path = reference.repository
        self._actions = "pull,push" if writable else "pull"
        self._registry = Registry(reference.registry, options)

    def manifest(self, version: str) -> tuple[Descriptor, bytes]:
        """Return the manifest or index of a tag or a digest, and its descriptor.

        Raise NotFound, InvalidConfig for a document of another digest, Unavailable.
        """
        target = f"/v2/{self._path}/manifests/{version}"
        content_type, document = self._document(target)
        media_type = content_type.partition(";")[0].strip()
        if media_type == "text/html":
            raise Unavailable(f"{self.name} answered with a web page: it is not a registry.")
        digest = manifest.digest_of(document)
        algorithm, colon, expected = version.partition(":")
        if colon and hashlib.new(algorithm, document).hexdigest() != expected:
            raise InvalidConfig(f"{self.name} sent a manifest {digest} for {version}.")
        return Descriptor(media_type, digest, len(document)), document

    def blob(
        self, blob: Descriptor, start_bytes: int = 0
    ) -> Generator[tuple[int, bytes], None, None]:
        """Yield the bytes of a blob from `start_bytes` on, each piece with its offset.

        A broken transfer is resumed. A registry without range requests starts over, and the
        offsets start at 0 again. Raise NotFound, Unavailable, or InvalidConfig if the blob is
        larger than its descriptor says.
        """
        at_bytes = start_bytes
        failures = 0
        while at_bytes < blob.size:
            before = at_bytes
            try:
                for offset, piece in self._transfer(blob, at_bytes):
                    at_bytes = offset + len(piece)
                    yield offset, piece
            except (OSError, http.client.HTTPException, CutOff) as error:
                reason = str(error) or type(error).__name__
            else:
                if at_bytes == blob.size:
                    return
                reason = f"{at_bytes} of {blob.size} bytes came"
            failures = 1 if at_bytes > before else failures + 1
            if failures > _RESUMPTIONS:
                raise Unavailable(f"{self.name} cut off the blob {blob.digest}: {reason}.")
            time.sleep(_PAUSE_SECONDS * failures)

    def has_blob(self, blob: Descriptor) -> bool:
        """Return True if the repository has the blob."""
        try:
            with self._registry.ask("HEAD", self._blob_path(blob.digest), self._scope()):
                return True
        except NotFound:
            return False

    def upload(
        self,
        blob: Descriptor,
        file: IO[bytes],
        mount_from: str | None = None,
        chunk_bytes: int = 0,
    ) -> bool:
        """Upload a blob. Return False if the registry mounted it from another repository.

        `mount_from` is the path of a repository that may have it. (distribution-spec, "Mounting a
        blob from another repository") With `chunk_bytes` it is sent in chunks of that size, without
        only if the registry wants that.
        """
        upload = Upload(self._registry, self._path, self._scope(), blob, chunk_bytes)
        if not upload.begin(mount_from):
            return False
        upload.send(file)
        return True

    def put_manifest(self, version: str, descriptor: Descriptor, document: bytes) -> None:
        """Upload a manifest or index under a tag or its digest."""
        target = f"/v2/{self._path}/manifests/{version}"
        headers = {"Content-Type": descriptor.media_type, "Content-Length": str(len(document))}
        with self._registry.ask(
            "PUT", target, self._scope(), headers=headers, body=document, expected=(201,)
        ):
            pass

    def _document(self, target: str) -> tuple[str, bytes]:
        """Return the media type and the content of a small document."""
        failures = 0
        while True:
            try:
                with self._registry.ask(
                    "GET", target, self._scope(), headers={"Accept": _ACCEPTED}
                ) as answer:
                    return answer.headers.get("Content-Type") or "", answer.read()
            except CutOff as error:
                failures += 1
                if failures > self._registry.options.retries:
                    raise Unavailable(f"{self.name} cut off its answer: {error}.") from None
            time.sleep(_PAUSE_SECONDS * failures)

    def _transfer(self, blob: Descriptor, start_bytes: int) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes of one answer. Raise OSError or HTTPException if it breaks."""
        headers = {"Range": f"bytes={start_bytes}-"} if start_bytes else {}
        with self._registry.ask(
            "GET", self._blob_path(blob.digest), self._scope(), headers=headers, expected=(200, 206)
        ) as answer:
            at_bytes = _start_of(answer.headers.get("Content-Range")) if answer.status == 206 else 0
            if at_bytes > start_bytes:
                raise Unavailable(f"{self.name} left out a part of the blob {blob.digest}.")
            while piece := answer.body.read1(_PIECE_BYTES):
                if at_bytes + len(piece) > blob.size:
                    words = f"{self.name} sent more than the {blob.size} bytes of {blob.digest}."
                    raise InvalidConfig(words)
                yield at_bytes, piece
                at_bytes += len(piece)

    def _blob_path(self, digest: str) -> str:
        return f"/v2/{self._path}/blobs/{digest}"

    def _scope(self) -> str:
        return f"repository:{self._path}:{self._actions}"


def _start_of(content_range: str | None) -> int:
    """Return the first byte's offset: `bytes 100-199/200`. Raise Unavailable."""
    unit, _, rest = (content_range or "").partition(" ")
    first = rest.partition("-")[0]
    if unit != "bytes" or not first.isdecimal():
        raise Unavailable(f"The registry answered with the range {content_range!r}.")
    return int(first)

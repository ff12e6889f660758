"""Upload of a blob: in one request, or in chunks, and resumed where the connection was cut off.

A registry keeps the state of an upload in its session. Each answer names the place of the next
request, and how many bytes the registry has. (distribution-spec, "Pushing blobs")
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.parse
from typing import IO

from runtime.errors import Unavailable
from runtime.images.manifest import Descriptor
from runtime.images.registry.http import AGAIN, Answer, CutOff, Registry, pause

_CHUNK_BYTES = 4 << 20  # the largest that ghcr.io takes
_LEAST_CHUNK_BYTES = 64 << 10
_FAILURES = 5
_PAUSE_SECONDS = 0.5
_RANGE = re.compile(r"(?:bytes[= ])?0-(\d+)")
_OCTETS = "application/octet-stream"
_LOST = (http.client.NOT_FOUND, http.client.REQUESTED_RANGE_NOT_SATISFIABLE)


class _Part:
    """A part of a file, as the body of a request."""

    def __init__(self, file: IO[bytes], start: int, size_bytes: int) -> None:
        self._file = file
        self._end = start + size_bytes
        file.seek(start)

    def read(self, size: int = -1, /) -> bytes:
        left_bytes = self._end - self._file.tell()
        return self._file.read(left_bytes if size < 0 else min(size, left_bytes))

    def seek(self, offset: int, /) -> int:
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


class Upload:
    """The upload of one blob to a repository.

    `scope` authorizes it. With `chunk_bytes` the blob is sent in chunks of that size; without, it
    is sent at once, and in chunks if the registry refuses that.
    """

    def __init__(
        self, registry: Registry, repository: str, scope: str, blob: Descriptor, chunk_bytes: int
    ) -> None:
        self._registry = registry
        self._sessions = f"/v2/{repository}/blobs/uploads/"
        self._scope = scope
        self._blob = blob
        self._chunk_bytes = chunk_bytes
        self._least_bytes = _LEAST_CHUNK_BYTES
        self._place = ""
        self._sent_bytes = 0
        self._failures = 0
        self._was_resumed = False
        self._expected_bytes = 0  # that the registry has after the current chunk
        self._most_bytes = 0  # that it had so far

    def begin(self, mount_from: str | None = None) -> bool:
        """Open a session. Return False if the registry took the blob from another repository.

        `mount_from` is the path of that repository. A registry that does not mount blobs opens a
        session instead. Raise NotFound, Unavailable.
        """
        if mount_from:
            query = urllib.parse.urlencode({"mount": self._blob.digest, "from": mount_from})
            scope = f"{self._scope} repository:{mount_from}:pull"
            with self._ask("POST", f"{self._sessions}?{query}", scope) as answer:
                if answer.status == http.client.CREATED:
                    return False
                if answer.status == http.client.ACCEPTED:
                    self._opened(answer)
                    return True
        with self._registry.ask(
            "POST", self._sessions, self._scope, headers={"Content-Length": "0"}, expected=(202,)
        ) as answer:
            self._opened(answer)
        return True

    def send(self, file: IO[bytes]) -> None:
        """Send the blob. Raise NotFound, Unavailable."""
        while not self._send_part(file):
            pass

    def _send_part(self, file: IO[bytes]) -> bool:
        """Send one request of the upload. Return True if the upload is complete."""
        whole = not self._chunk_bytes and not self._sent_bytes
        ending = whole or self._sent_bytes == self._blob.size
        try:
            with self._put(file) if ending else self._patch(file) as answer:
                if self._took(answer, ending=ending):
                    return ending
        except CutOff as error:
            self._fail(str(error))
        self._resume()
        return False

    def _took(self, answer: Answer, *, ending: bool) -> bool:
        """Return True if the registry took the part, False if the upload has to be resumed.

        Raise Unavailable if it refuses the blob. If the digest is wrong after a resumption, or the
        registry disputes its own count of bytes, the upload begins again.
        """
        if ending and answer.status == http.client.CREATED:
            return True
        if not ending and answer.status in (http.client.ACCEPTED, http.client.NO_CONTENT):
            self._advance(answer)
            return True
        if answer.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            self._shrink_chunks(answer)
            return False
        is_miscounted = answer.status == http.client.BAD_REQUEST and ending and self._was_resumed
        if not is_miscounted and answer.status not in (*AGAIN, *_LOST):
            raise self._registry.error(answer, f"the upload of {self._blob.digest}")
        is_disputed = answer.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE
        if is_miscounted or (is_disputed and self._failures):
            self._place = ""
        if is_disputed and not ending:  # which some registries say of a large chunk
            smaller = max(self._part_bytes() // 2, self._least_bytes)
            self._chunk_bytes = min(self._chunk_bytes or smaller, smaller)
        self._fail(f"it answered {answer.status}", answer)
        return False

    def _put(self, file: IO[bytes]) -> Answer:
        """Send the last request, with the rest of the blob."""
        size_bytes = self._blob.size - self._sent_bytes
        separator = "&" if "?" in self._place else "?"
        place = self._place + separator + urllib.parse.urlencode({"digest": self._blob.digest})
        headers = {"Content-Type": _OCTETS, "Content-Length": str(size_bytes)}
        body = _Part(file, self._sent_bytes, size_bytes) if size_bytes else None
        return self._registry.ask_once("PUT", place, self._scope, headers, body)

    def _patch(self, file: IO[bytes]) -> Answer:
        """Send one chunk."""
        size_bytes = self._part_bytes()
        last = self._sent_bytes + size_bytes - 1
        headers = {
            "Content-Type": _OCTETS, "Content-Length": str(size_bytes),
            "Content-Range": f"{self._sent_bytes}-{last}",
        }  # fmt: skip
        body = _Part(file, self._sent_bytes, size_bytes)
        self._expected_bytes = last + 1
        return self._registry.ask_once("PATCH", self._place, self._scope, headers, body)

    def _ask(self, method: str, place: str, scope: str) -> Answer:
        """Send a request without content, and return its answer of any status."""
        try:
            return self._registry.ask_once(method, place, scope, {"Content-Length": "0"})
        except CutOff as error:
            raise Unavailable(
                f"The registry {self._registry.name} can't be reached: {error}."
            ) from None

    def _opened(self, answer: Answer) -> None:
        """Note the place of a new session, and the size of the chunks that it takes."""
        self._place = self._location(answer)
        self._sent_bytes = 0
        least = answer.headers.get("OCI-Chunk-Min-Length") or ""
        if least.isdecimal() and len(least) < 20:
            self._least_bytes = max(int(least), 1)
            # A registry that names a least size wants chunks.
            wanted = self._chunk_bytes or _CHUNK_BYTES
            self._chunk_bytes = max(wanted, self._least_bytes)

    def _location(self, answer: Answer) -> str:
        place = answer.headers.get("Location") or self._place
        if not place:
            raise Unavailable(f"The registry {self._registry.name} named no place for an upload.")
        return place

    def _advance(self, answer: Answer) -> None:
        """Note how much the registry has after a chunk."""
        self._place = self._location(answer)
        has_bytes = _size_in(answer)
        if not has_bytes or has_bytes == self._expected_bytes + 1:
            has_bytes = self._expected_bytes  # some registries count from 1, or don't say
        if has_bytes <= self._sent_bytes or has_bytes > self._blob.size:
            raise Unavailable(
                f"The registry {self._registry.name} has {has_bytes} bytes of an upload of"
                f" {self._blob.size}, after {self._expected_bytes} were sent."
            )
        self._sent_bytes = has_bytes
        if has_bytes > self._most_bytes:
            self._most_bytes = has_bytes
            self._failures = 0

    def _shrink_chunks(self, answer: Answer) -> None:
        """Halve the size of chunks, or begin to send them. Raise Unavailable at the least size."""
        refused_bytes = self._part_bytes()
        if refused_bytes <= self._least_bytes:
            raise self._registry.error(answer, f"a chunk of {refused_bytes} bytes")
        whole = not self._chunk_bytes
        smaller = min(_CHUNK_BYTES, refused_bytes // 2) if whole else refused_bytes // 2
        self._chunk_bytes = max(smaller, self._least_bytes)

    def _part_bytes(self) -> int:
        """Return the size of the next chunk."""
        left_bytes = self._blob.size - self._sent_bytes
        return min(self._chunk_bytes or left_bytes, left_bytes)

    def _fail(self, reason: str, answer: Answer | None = None) -> None:
        """Count a failure and pause. Raise Unavailable if there were too many in a row."""
        self._failures += 1
        if self._failures > _FAILURES:
            raise Unavailable(
                f"The registry {self._registry.name} cut off the upload of {self._blob.digest}:"
                f" {reason}."
            )
        seconds = _PAUSE_SECONDS * self._failures
        time.sleep(pause(answer, seconds) if answer else seconds)

    def _resume(self) -> None:
        """Ask the registry how much it has. Begin again if it does not know the session."""
        self._was_resumed = False
        if not self._place:
            self.begin()
            return
        try:
            with self._registry.ask_once("GET", self._place, self._scope, {}) as answer:
                has_bytes = _size_in(answer) if answer.status in (200, 202, 204) else None
                if has_bytes is not None and has_bytes <= self._blob.size:
                    self._place = self._location(answer)
                    self._sent_bytes = has_bytes
                    self._was_resumed = True
                    return
        except CutOff as error:
            self._fail(str(error))
            self._resume()
        else:
            self.begin()


def _size_in(answer: Answer) -> int | None:
    """Return the number of bytes that a registry has of an upload; None if it does not say.

    `0-0` stands for nothing as well as for one byte. The former is common.
    """
    found = _RANGE.fullmatch((answer.headers.get("Range") or "").strip())
    if found is None or len(found[1]) > 19:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0

"""A registry with one image, whose answers a test may falsify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.images.manifest import Descriptor
from tests.runtime.images.registry.server import Asked, Reply

Lie = Callable[[Asked, Reply], Reply]


def honest(_: Asked, reply: Reply) -> Reply:
    """Return the answer as it is."""
    return reply


@dataclass
class ImageServer:
    """Answers requests for a manifest by any tag, and for blobs, with ranges."""

    named: Descriptor
    blobs: dict[str, bytes]
    lie: Lie = honest

    def __call__(self, asked: Asked) -> Reply:
        """Answer a request."""
        return self.lie(asked, self._answer(asked))

    def _answer(self, asked: Asked) -> Reply:
        kind, _, version = asked.path.rpartition("/")
        digest = version if version.startswith("sha256:") else self.named.digest
        content = self.blobs.get(digest)
        if content is None:
            return Reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
        if kind.endswith("/manifests"):
            media_type = self.named.media_type if digest == self.named.digest else ""
            return Reply(200, content, {"Content-Type": media_type} if media_type else {})
        first = int(asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not first:
            return Reply(200, content)
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Reply(206, content[first:], {"Content-Range": span})

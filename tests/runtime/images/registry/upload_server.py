"""The uploads of a registry, by the specification, with faults that a test chooses."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.runtime.images.registry.server import Asked, Reply, digest_of

Fault = Callable[[Asked, bytearray], Reply | None]
_RANGE = re.compile(r"(\d+)-(\d+)")


def no_fault(_: Asked, __: bytearray) -> None:
    """Answer every request as a registry does."""


@dataclass
class Uploads:
    """Sessions and complete blobs. `fault` may answer a request that has come in its place."""

    fault: Fault = no_fault
    opening: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, bytearray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Reply:
        """Answer a request."""
        parts = urllib.parse.urlsplit(asked.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        session = self.sessions.get(parts.path)
        if reply := self.fault(asked, bytearray() if session is None else session):
            return reply
        if asked.method == "POST":
            place = f"{parts.path}{len(self.sessions)}"
            self.sessions[place] = bytearray()
            return Reply(202, headers={"Location": place, **self.opening})
        if session is None:
            return Reply(404)
        if asked.method == "GET":
            return Reply(204, headers=self._progress(parts.path))
        if asked.method == "PATCH":
            span = _RANGE.fullmatch(asked.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != len(session):
                return Reply(416, headers=self._progress(parts.path))
            session += asked.body
            return Reply(202, headers=self._progress(parts.path))
        whole = bytes(session) + asked.body
        del self.sessions[parts.path]
        if digest_of(whole) != query["digest"]:
            return Reply(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
        self.blobs[query["digest"]] = whole
        return Reply(201)

    def _progress(self, place: str) -> dict[str, str]:
        last = max(0, len(self.sessions[place]) - 1)
        return {"Location": place, "Range": f"0-{last}"}

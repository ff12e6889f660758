"""Unpacking layers: their contents are closed, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast

import pytest

from runtime.errors import Unavailable
from runtime.images import manifest
from runtime.images.layer import Limits
from runtime.images.manifest import Descriptor
from runtime.images.snapshots import Snapshots
from runtime.images.unpacking import Unpacking, raise_first

LAYER = Descriptor("application/vnd.oci.image.layer.v1.tar", manifest.digest_of(b""), 2)


class FullDisk:
    """Snapshots on a disk that is full after a piece."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    @contextmanager
    def locked(self, _: str) -> Iterator[bool]:
        yield False

    def unpack_early(
        self,
        _chain_ids: Sequence[str],
        archive: Callable[[], Iterable[bytes]],
        _limits: Limits,
        _below: Future[None] | None,
    ) -> dict[str, Any]:
        held = [iter(archive()) for _ in range(self.attempts)]  # by this frame, for the traceback
        for pieces in held:
            next(pieces)
        raise Unavailable("The layer could not be unpacked: no space left.")


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_contents_are_closed_while_the_error_is_still_held(attempts: int) -> None:
    opened, closed = [], []

    def content() -> Generator[bytes, None, None]:
        opened.append(True)
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    snapshots = cast("Snapshots", FullDisk(attempts))
    with Unpacking(snapshots, [LAYER.digest], Limits()) as unpacking:
        unpacking.add(LAYER, LAYER.digest, content)
        with pytest.raises(Unavailable, match="no space left") as error:
            raise_first(unpacking.futures)
    assert error.value.__traceback__ is not None
    assert len(opened) == len(closed) == attempts

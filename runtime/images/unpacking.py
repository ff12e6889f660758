"""Unpack the layers of an image, as many at once as there are CPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing

from runtime.images import compression, manifest
from runtime.images.layer import Limits
from runtime.images.manifest import Descriptor
from runtime.images.snapshots import Snapshots


class Unpacking:
    """The layers of a chain while they are unpacked; a context manager.

    Layers are added in the order of the chain. Leaving the context cancels those that have not
    begun and waits for the others.
    """

    def __init__(self, snapshots: Snapshots, chain_ids: Sequence[str], limits: Limits) -> None:
        self._snapshots = snapshots
        self._chain_ids = chain_ids
        self._limits = limits
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "unpack")
        self.futures: list[Future[None]] = []

    def add(
        self,
        layer: Descriptor,
        diff_id: str,
        content: Callable[[], Generator[bytes, None, None]],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Unpack the next layer of the chain, unless it is unpacked, and call `done`.

        `content` generates the bytes of the blob; it may be called a second time. Its generators
        are closed, also after an error: until its traceback is collected, the frames in it would
        keep their files open.
        """
        below = self.futures[-1] if self.futures else None
        depth = len(self.futures) + 1
        chain_ids = self._chain_ids[:depth]

        def unpack() -> None:
            with ExitStack() as opened:

                def archive() -> Iterable[bytes]:
                    pieces = opened.enter_context(closing(content()))
                    return compression.checked(pieces, manifest.LAYERS[layer.media_type], diff_id)

                unpacked = opened.enter_context(self._snapshots.locked(chain_ids[-1]))
                if not unpacked:
                    self._snapshots.unpack_early(chain_ids, archive, self._limits, below)
            done()

        self.futures.append(self._threads.submit(unpack))

    def __enter__(self) -> Unpacking:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


def raise_first(futures: Iterable[Future[None]]) -> None:
    """Wait until all futures are done or one has failed; raise the first error in their order."""
    waiting = list(futures)
    wait(waiting, return_when=FIRST_EXCEPTION)
    for future in waiting:
        if future.done():
            future.result()

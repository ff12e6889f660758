"""Steps that make a layer: from the cache, or carried out once.

Stages that are built at once may have equal steps. The second waits for the first, and takes its
layer.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from runtime.build.progress import StepProgress
from runtime.build.settings import Settings
from runtime.images import assembly, layer_diff, manifest
from runtime.images.layer import Limits
from runtime.images.layer_cache import Cache, Cached, Step
from runtime.images.leases import Lease
from runtime.images.manifest import Descriptor, History
from runtime.images.store import Store

# Takes the writable layer of a container, or an archive to unpack.
CarryOut = Callable[[Path | Iterable[bytes]], None]


@dataclass(slots=True)
class Work:
    """The state of a stage during the build. `created` is when its last layer was made."""

    settings: Settings
    layers: list[Descriptor]
    diff_ids: list[str]
    history: list[History]
    key: str
    created: str

    @property
    def chain_ids(self) -> list[str]:
        """The chain IDs of the layers so far."""
        return manifest.chain_ids(self.diff_ids)


class Steps:
    """The steps of one build. Several threads may carry them out."""

    def __init__(
        self, store: Store, lease: Lease, created: str, latest_ns: int | None, *, explains: bool
    ) -> None:
        self._store = store
        self._lease = lease
        self._created = created
        self._latest_ns = latest_ns
        self._explains = explains
        self._cache = Cache(store.directory / "build-cache")
        self._lock = Lock()
        self._locks: dict[str, Lock] = {}
        self._made: dict[str, Cached] = {}

    @contextmanager
    def step(
        self, work: Work, step: Step, place: str, progress: StepProgress, *, use_cache: bool
    ) -> Iterator[CarryOut | None]:
        """Yield a function that creates the layer of the step, or None if the step is cached.

        At the end of the block the layer is added to the work.
        """
        with self._exclusive(step.key):
            cached = self._made.get(step.key) or (self._cached(step) if use_cache else None)
            if self._explains and cached is None:
                progress.say(f"not cached: {self._cache.explain(place, step)}")
            if cached:
                progress.say("CACHED")
                yield None
            else:
                with self._new_layer(work) as (carry_out, made):
                    yield carry_out
                cached = made[0]
                self._cache.keep(step, cached)
                if not self._explains:
                    self._cache.explain(place, step)
                progress.done()
            self._made[step.key] = cached
        work.layers.append(cached.layer)
        work.diff_ids.append(cached.diff_id)
        work.key = step.key
        if self._latest_ns is None:
            work.created = cached.created or work.created

    @contextmanager
    def _new_layer(self, work: Work) -> Iterator[tuple[CarryOut, list[Cached]]]:
        """Yield a function that fills a new layer, and the list that gets it at the end."""
        name = uuid.uuid4().hex[:20]
        self._lease.add(f"build:{name}")
        made: list[Cached] = []
        with self._store.snapshots.new(work.chain_ids, name) as new:

            def carry_out(content: Path | Iterable[bytes]) -> None:
                if isinstance(content, Path):
                    new.take(content, _size_bytes(content))
                else:
                    new.fill(content, Limits())

            yield carry_out, made
            archive = layer_diff.archive(new.files, self._latest_ns)
            layer = assembly.add_layer(self._store, self._lease, archive)
            chain_ids = manifest.chain_ids([*work.diff_ids, layer.diff_id])
            self._lease.add(chain_ids[-1])
            # Another stage or build may have made the same layer on the same layers.
            with self._store.snapshots.locked(chain_ids[-1]):
                new.commit(chain_ids[-1])
        made.append(Cached(layer.blob, layer.diff_id, chain_ids, self._created))

    @contextmanager
    def _exclusive(self, key: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            yield

    def _cached(self, step: Step) -> Cached | None:
        """Return the cached result of a step if the store still has its layer."""
        found = self._cache.find(step)
        if found is None:
            return None
        self._lease.add(found.layer.digest, *found.chain_ids)
        is_unpacked = self._store.snapshots.has(found.chain_ids[-1])
        return found if is_unpacked and self._store.layout.has(found.layer) else None


def _size_bytes(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        total += sum(os.lstat(os.path.join(parent, name)).st_size for name in names)
    return total

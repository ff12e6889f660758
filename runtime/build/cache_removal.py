"""Remove what builds have kept: results of steps, downloads, directories of cache mounts."""

from __future__ import annotations

import shutil

from runtime.build.workspace import no_builds
from runtime.errors import InvalidState
from runtime.images.layer_cache import Cache
from runtime.images.store import Store


def clear(store: Store) -> None:
    """Remove all of it. Garbage collection removes layers. Raise InvalidState during a build."""
    with no_builds(store.directory / "builds") as is_free:
        if not is_free:
            raise InvalidState("A build is running: its cache can't be removed now.")
        Cache(store.directory / "build-cache").clear()
        for name in ("build-downloads", "build-mounts"):
            shutil.rmtree(store.directory / name, ignore_errors=True)

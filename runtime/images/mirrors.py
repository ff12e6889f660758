"""Pull an image from the first of several places that has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.errors import InvalidConfig, NotFound, Unavailable
from runtime.images.layer import Limits
from runtime.images.manifest import Platform
from runtime.images.pull import Progress, no_progress, pull
from runtime.images.reference import Reference
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.http import Options
from runtime.images.registry.registries_conf import Source
from runtime.images.registry.repository import Repository
from runtime.images.store import Image, Store

# There is another source: a mirror that does not answer is given up early.
_SECONDS, _RETRIES = 10.0, 1


def options_of(
    source: Source,
    credentials: Credentials | None,
    authorities: Path | None = None,
    insecure: bool | None = None,
) -> Options:
    """Return the options of the connection to a source; `insecure` overrides what it says."""
    chosen = source.insecure if insecure is None else insecure
    if source.is_mirror:
        return Options(credentials, authorities, chosen, _SECONDS, _RETRIES)
    return Options(credentials, authorities, chosen)


def pull_from(
    store: Store,
    reference: Reference,
    sources: Sequence[Repository],
    *,
    note: Callable[[str], None],
    platform: Platform | None = None,
    limits: Limits | None = None,
    progress: Progress = no_progress,
) -> Image:
    """Pull an image from the first source that has it, and name it `reference`.

    A source that can't be reached, lacks the image or sends an invalid one is left out, with a
    note. What is complete of it stays in the store, and the next source goes on from there. Raise
    the error of the last source.
    """
    *others, last = sources
    for source in others:
        try:
            return pull(
                store, reference, source, platform=platform, limits=limits, progress=progress
            )
        except (NotFound, InvalidConfig, Unavailable) as error:
            note(f"The mirror {source.name} was left out: {error}")
    return pull(store, reference, last, platform=platform, limits=limits, progress=progress)

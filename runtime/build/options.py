"""The options of a build."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from runtime.images.reference import Reference
from runtime.images.store import Image

Pull = Literal["never", "missing", "always"]


@dataclass(frozen=True, slots=True)
class Options:
    """A build: its context and Dockerfile, the names of the image, and the switches.

    `secrets` are contents and `agents` sockets of ssh agents, by id. `contexts` are directories,
    or texts such as `docker-image://NAME`, `oci-layout://DIRECTORY` or a URL, by the name that
    stands for them. `fetch` pulls an image. `uncached` are names of stages whose steps are not
    taken from the cache. `epoch_seconds` (SOURCE_DATE_EPOCH) is the latest time in the image; with
    it the same input gives the same digest. `tell` gets the lines of progress and output.
    """

    context: Path
    dockerfile: str
    names: tuple[str, ...] = ()
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    agents: Mapping[str, Path] = field(default_factory=dict)
    contexts: Mapping[str, str | Path] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    pull: Pull = "never"
    fetch: Callable[[Reference], Image] | None = None
    network: str = "default"
    hosts: tuple[tuple[str, str], ...] = ()
    shared_memory_bytes: int | None = None
    limits: tuple[tuple[str, int, int], ...] = ()
    allows_insecure: bool = False
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    epoch_seconds: int | None = None
    use_cache: bool = True
    uncached: frozenset[str] = frozenset()
    explain: bool = False
    tell: Callable[[str], None] = lambda _: None

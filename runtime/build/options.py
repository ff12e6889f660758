"""The options of a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """A build: its context and Dockerfile, the names of the image, and the switches.

    `epoch_seconds` (SOURCE_DATE_EPOCH) is the latest time in the image; with it the same input
    gives the same digest. `tell` gets a line for each step. `output` is the descriptor for the
    output of RUN.
    """

    context: Path
    dockerfile: str
    names: tuple[str, ...] = ()
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    epoch_seconds: int | None = None
    use_cache: bool = True
    explain: bool = False
    tell: Callable[[str], None] = lambda _: None
    output: int = 2

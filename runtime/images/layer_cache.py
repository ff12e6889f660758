"""The build cache: the layer of each step, by a digest of the inputs of the step."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from runtime.images.manifest import Descriptor


class Cached(msgspec.Struct, frozen=True):
    """The result of a step: its layer, the digest of the archive, and the chain IDs up to it.

    `created` is when it was carried out.
    """

    layer: Descriptor
    diff_id: str
    chain_ids: list[str]
    created: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step by its parent's key, its definition, and the files that it reads."""

    parent: str
    definition: list[Any]
    files: list[list[Any]]

    @property
    def key(self) -> str:
        """The digest of the step's inputs."""
        document = json.dumps([self.parent, self.definition, self.files], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()


class Cache:
    """The records in `directory`, which is created if it is missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "last").mkdir(parents=True, exist_ok=True)

    def find(self, step: Step) -> Cached | None:
        """Return the result of an earlier run of the step, or None."""
        try:
            return msgspec.json.decode(self._path(step).read_bytes(), type=Cached)
        except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def keep(self, step: Step, made: Cached) -> None:
        """Record the result of a step."""
        _replace(self._path(step), msgspec.json.encode(made))

    def records(self) -> Iterator[Cached]:
        """Yield all results."""
        for path in self._directory.iterdir():
            if path.is_file() and not path.name.startswith("."):
                try:
                    yield msgspec.json.decode(path.read_bytes(), type=Cached)
                except (msgspec.DecodeError, msgspec.ValidationError):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all records."""
        for path in (*self._directory.iterdir(), *(self._directory / "last").iterdir()):
            if path.is_file():
                path.unlink()

    def explain(self, place: str, step: Step) -> str:
        """Return how a step differs from the last one at `place`, and remember the step."""
        path = self._directory / "last" / hashlib.sha256(place.encode()).hexdigest()
        try:
            parent, definition, files = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            why = "it was not built before"
        else:
            why = _difference(Step(parent, definition, files), step)
        _replace(path, json.dumps([step.parent, step.definition, step.files]).encode())
        return why

    def _path(self, step: Step) -> Path:
        return self._directory / step.key


def _difference(before: Step, after: Step) -> str:
    """Return the first difference of two steps."""
    old, new = json.loads(json.dumps(before.definition)), json.loads(json.dumps(after.definition))
    if old != new:
        pairs = zip([*old, None], [*new, None], strict=False)
        first, second = next((a, b) for a, b in pairs if a != b)
        return f"its definition was {first!r} and is {second!r}"
    known = {each[0]: each for each in before.files}
    for each in after.files:
        if each[0] not in known:
            return f"{each[0]} is new"
        was = known.pop(each[0])
        fields = ("name", "mode", "user", "group", "content")
        for name, a, b in zip(fields, was, each, strict=True):
            if a != b:
                return f"{each[0]} has another {name}: {a} before, {b} now"
    if known:
        return f"{next(iter(known))} is gone"
    if before.parent != after.parent:
        return "a step before it has changed"
    return "its layer is no longer in the store"


def _replace(path: Path, document: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(document)
    aside.rename(path)

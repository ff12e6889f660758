"""The build cache: layers of steps that were carried out, by what each was made of."""

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
    """A step's layer, the digest of its archive, and the chain that it ends."""

    layer: Descriptor
    diff_id: str
    chain_ids: list[str]


@dataclass(frozen=True, slots=True)
class Step:
    """A step by its parent's key, its definition, and the files that it reads."""

    parent: str
    definition: list[Any]
    files: list[list[Any]]

    @property
    def key(self) -> str:
        """A digest of all of it."""
        document = json.dumps([self.parent, self.definition, self.files], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()


class Cache:
    """The records in `directory`, which is made if it is not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "last").mkdir(parents=True, exist_ok=True)

    def find(self, step: Step) -> Cached | None:
        """Return what a step made when it was carried out before."""
        try:
            return msgspec.json.decode(self._path(step).read_bytes(), type=Cached)
        except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def keep(self, step: Step, made: Cached) -> None:
        """Keep what a step made."""
        _replace(self._path(step), msgspec.json.encode(made))

    def records(self) -> Iterator[Cached]:
        """Give all that is kept."""
        for path in self._directory.iterdir():
            if path.is_file() and not path.name.startswith("."):
                try:
                    yield msgspec.json.decode(path.read_bytes(), type=Cached)
                except (msgspec.DecodeError, msgspec.ValidationError):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all steps."""
        for path in (*self._directory.iterdir(), *(self._directory / "last").iterdir()):
            if path.is_file():
                path.unlink()

    def explain(self, place: str, step: Step) -> str:
        """Return why a step is not the one that stood at `place` in the last build, and note it."""
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
    """Return the first thing in which two steps differ."""
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
    return "what it made is not in the store any more"


def _replace(path: Path, document: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(document)
    aside.rename(path)

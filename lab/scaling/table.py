"""The tables of a scenario: structs that refuse unknown keys; errors name the key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab import toml_file
from lab.errors import InvalidConfig
from lab.scaling import quantities

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
_WHERE = re.compile(r"(.*?)(?: - at `(.*)`)?", re.DOTALL)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Base class of a scenario's tables."""


def read(path: Path, kind: type[T]) -> T:
    """Return a TOML file as a struct. Raise InvalidConfig with the key of the first fault."""
    document = toml_file.read(path)
    try:
        return msgspec.convert(document, kind, dec_hook=quantities.convert)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"{path}: {sentence(str(error))}.") from error


def sentence(message: str) -> str:
    """Return msgspec's message with the key in front, as it is written in the file."""
    found = _WHERE.fullmatch(message)
    if not found or not found[2]:
        return message
    key = found[2].removeprefix("$").lstrip(".")
    return f"{key}: {found[1]}" if key else found[1]

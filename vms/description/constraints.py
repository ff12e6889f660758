"""Descriptions checked field by field, by their own annotations, before anything is made of them.

What an annotation says is held: a type, a Literal's choices, and the bounds that Annotated adds. A
description may add `objection`, for what no single field can say.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Collection, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from vms.errors import MachineError

# What no XML document holds: bytes that are no UTF-8, as Python has them, and control characters.
# (XML 1.0, 2.2, Char)
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """A number no smaller than `low` and no greater than `high`, which None leaves open."""

    low: int
    high: int | None = None

    def refuses(self, value: Any) -> str:
        """What the value should have been; empty if it is fine."""
        if self.low <= value and (self.high is None or value <= self.high):
            return ""
        return f"at least {self.low}" if self.high is None else f"{self.low} to {self.high}"


@dataclasses.dataclass(frozen=True, slots=True)
class Like:
    """Text that the pattern matches whole; `meaning` says so in words."""

    pattern: str
    meaning: str

    def refuses(self, value: Any) -> str:
        """What the value should have been; empty if it is fine."""
        return "" if re.fullmatch(self.pattern, value) else self.meaning


@dataclasses.dataclass(frozen=True, slots=True)
class NotEmpty:
    """A collection that holds something."""

    def refuses(self, value: Collection[Any]) -> str:
        """What the value should have been; empty if it is fine."""
        return "" if value else "at least one"


def objections(description: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a description and with what it holds: a sentence each, by field."""
    found = False
    for name, annotation in _annotations(description.__class__).items():
        for sentence in _of_value(getattr(description, name), annotation, f"{path}{name}"):
            found = True
            yield sentence
    objection = getattr(description, "objection", None)
    if objection and not found and (sentence := objection()):
        yield f"{path}{sentence}"


def refuse(description: Any) -> None:
    """Raise MachineError for the first thing that is wrong with a description."""
    for sentence in objections(description):
        raise MachineError(f"{sentence}.")


@functools.cache
def _annotations(description: Hashable) -> dict[str, Any]:
    return get_type_hints(description, include_extras=True)


def _of_value(value: Any, annotation: Any, path: str) -> Iterator[str]:
    expected = _expected(value, annotation)
    if expected:
        shown = str(value) if isinstance(value, Path) else value
        yield f"{path} must be {expected}, not {shown!r}"
        return
    if dataclasses.is_dataclass(value):
        yield from objections(value, f"{path}.")
        return
    annotation = _chosen(value, annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {tuple, frozenset}:
        for number, each in enumerate(value):
            yield from _of_value(each, inner[0], f"{path}[{number}]")
    elif origin is dict:
        for key, each in value.items():
            yield from _of_value(key, inner[0], f"{path}'s key")
            yield from _of_value(each, inner[1], f"{path}[{key}]")


def _expected(value: Any, annotation: Any) -> str:
    """What the annotation wants instead; empty if the value is that."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        wanted = _expected(value, inner[0])
        bounds = () if wanted or value is None else annotation.__metadata__
        return wanted or next((said for each in bounds if (said := each.refuses(value))), "")
    if origin in {Union, types.UnionType}:
        wishes = [_expected(value, each) for each in inner]
        return "" if "" in wishes else " or ".join(wishes)
    if origin is Literal:
        return "" if value in inner else _listed(inner)
    kind = origin or annotation
    if kind is Any or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return "" if fits_xml(value) else "UTF-8 without control characters"
    return "nothing" if kind is types.NoneType else _name(kind)


def fits_xml(value: Any) -> bool:
    """Return True unless it is text or a path that libvirt's XML can't hold."""
    return not (isinstance(value, (str, Path)) and _NOT_IN_XML.search(str(value)))


def _chosen(value: Any, annotation: Any) -> Any:
    """The alternative of a union that the value is, without what Annotated adds."""
    if get_origin(annotation) is Annotated:
        return _chosen(value, get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        fitting = (each for each in get_args(annotation) if not _expected(value, each))
        return _chosen(value, next(fitting))
    return annotation


def _listed(choices: tuple[Any, ...]) -> str:
    *first, last = (str(choice) for choice in choices)
    return f"{', '.join(first)} or {last}" if first else last


def _name(kind: type) -> str:
    words: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false"}
    return words.get(kind, f"a {kind.__name__}")

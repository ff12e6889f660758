"""Validation of descriptions, field by field, by the fields' own annotations.

A field is checked against its type, the choices of a Literal, and the bounds in Annotated. A
description may add a method `objection` for conflicts between its fields.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from vms.errors import InvalidDescription

# Characters that no XML document can contain: control characters, and the surrogates by which
# Python represents bytes that are not UTF-8. (XML 1.0, 2.2, Char)
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """A number from `low` to `high`; None sets no upper bound."""

    low: int
    high: int | None = None

    def refuses(self, value: Any) -> str:
        """Return the expected range, or an empty string if the value is within it."""
        if self.low <= value and (self.high is None or value <= self.high):
            return ""
        return f"at least {self.low}" if self.high is None else f"{self.low} to {self.high}"


@dataclasses.dataclass(frozen=True, slots=True)
class Like:
    """Text that the pattern matches as a whole; `meaning` describes it in words."""

    pattern: str
    meaning: str

    def refuses(self, value: Any) -> str:
        """Return the meaning, or an empty string if the value matches."""
        return "" if re.fullmatch(self.pattern, value) else self.meaning


def objections(description: Any, path: str = "") -> Iterator[str]:
    """Yield a sentence for each invalid field of a description and of its parts."""
    is_valid = True
    for name, annotation in _annotations(description.__class__).items():
        for sentence in _of_value(getattr(description, name), annotation, f"{path}{name}"):
            is_valid = False
            yield sentence
    objection = getattr(description, "objection", None)
    if objection and is_valid and (sentence := objection()):
        yield f"{path}{sentence}"


def refuse(description: Any) -> None:
    """Raise InvalidDescription for the first invalid field of a description."""
    for sentence in objections(description):
        raise InvalidDescription(f"{sentence}.")


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
    annotation = _matching_alternative(value, annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {tuple, frozenset}:
        for number, item in enumerate(value):
            yield from _of_value(item, inner[0], f"{path}[{number}]")
    elif origin is dict:
        for key, item in value.items():
            yield from _of_value(key, inner[0], f"{path}'s key")
            yield from _of_value(item, inner[1], f"{path}[{key}]")


def _expected(value: Any, annotation: Any) -> str:
    """Return the value that the annotation expects, in words; empty if the given value fits."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        expected = _expected(value, inner[0])
        bounds = () if expected or value is None else annotation.__metadata__
        refusals = (bound.refuses(value) for bound in bounds)
        return expected or next(filter(None, refusals), "")
    if origin in {Union, types.UnionType}:
        alternatives = [_expected(value, alternative) for alternative in inner]
        return "" if "" in alternatives else " or ".join(alternatives)
    if origin is Literal:
        return "" if value in inner else _enumerated(inner)
    kind = origin or annotation
    if kind is Any or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return "" if fits_xml(value) else "UTF-8 without control characters"
    return "nothing" if kind is types.NoneType else _name(kind)


def fits_xml(value: Any) -> bool:
    """Return False for text or a path that libvirt's XML can't contain."""
    return not (isinstance(value, (str, Path)) and _NOT_IN_XML.search(str(value)))


def _matching_alternative(value: Any, annotation: Any) -> Any:
    """Return the alternative of a union that the value matches, stripped of Annotated."""
    if get_origin(annotation) is Annotated:
        return _matching_alternative(value, get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        matching = (each for each in get_args(annotation) if not _expected(value, each))
        return _matching_alternative(value, next(matching))
    return annotation


def _enumerated(choices: tuple[Any, ...]) -> str:
    *first, last = (str(choice) for choice in choices)
    return f"{', '.join(first)} or {last}" if first else last


def _name(kind: type) -> str:
    words: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false"}
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return words.get(kind, f"{article} {kind.__name__}")

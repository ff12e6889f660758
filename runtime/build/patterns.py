"""Patterns of .dockerignore files and of COPY's sources.

(docker, "Dockerfile reference", ".dockerignore file"; Go, path/filepath.Match)
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runtime.errors import InvalidConfig

_META = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern. `excepts` is True if it began with `!`."""

    regex: re.Pattern[str]
    excepts: bool


class Ignored:
    """The rules of a .dockerignore file. The last rule that matches a path decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules = list(_rules(lines))

    def __contains__(self, path: str) -> bool:
        """Return True if a path, relative to the context, is excluded."""
        ignored = False
        parts = path.split("/")
        prefixes = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        for rule in self._rules:
            if rule.excepts == ignored and any(map(rule.regex.fullmatch, prefixes)):
                ignored = not rule.excepts
        return ignored

    @property
    def has_exceptions(self) -> bool:
        """True if a file below an excluded directory may be included."""
        return any(rule.excepts for rule in self._rules)


def has_meta(pattern: str) -> bool:
    """Return True if a source is a pattern and not a name."""
    return _META.search(pattern) is not None


def matcher(pattern: str) -> re.Pattern[str]:
    """Return the expression of a source's pattern, whose `*` and `?` do not cross slashes.

    Raise InvalidConfig.
    """
    return _compiled(pattern, deep=False)


def _rules(lines: Iterable[str]) -> Iterable[Rule]:
    for line in lines:
        pattern = line.strip()
        if line.startswith("#") or not pattern:
            continue
        excepts = pattern.startswith("!")
        cleaned = posixpath.normpath(pattern[excepts:].strip()).lstrip("/")
        if excepts and cleaned in ("", "."):
            raise InvalidConfig(".dockerignore: '!' stands alone.")
        if cleaned:
            yield Rule(_compiled(cleaned, deep=True), excepts)


def _compiled(pattern: str, *, deep: bool) -> re.Pattern[str]:
    """Return the regular expression of a pattern; with `deep`, `**` crosses slashes."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*":
            at = _star(pattern, at, parts, deep=deep)
        elif sign == "?":
            parts.append("[^/]")
        elif sign == "[":
            at = _class(pattern, at, parts)
        elif sign == "\\":
            if at == len(pattern):
                raise InvalidConfig(f"The pattern {pattern!r} ends with its escape character.")
            parts.append(re.escape(pattern[at]))
            at += 1
        else:
            parts.append(re.escape(sign))
    return re.compile("".join(parts), re.DOTALL)


def _star(pattern: str, at: int, parts: list[str], *, deep: bool) -> int:
    if not deep or pattern[at : at + 1] != "*":
        parts.append("[^/]*")
        return at
    at += 1
    if pattern[at : at + 1] == "/":
        parts.append("(?:.*/)?")
        return at + 1
    parts.append(".*")
    return at


def _class(pattern: str, at: int, parts: list[str]) -> int:
    """Translate `[a-z]`, `[^a]`; the closing bracket may be escaped inside."""
    end = at
    signs: list[str] = []
    if pattern[end : end + 1] == "^":
        signs.append("^")
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        if pattern[end] == "\\" and end + 1 < len(pattern):
            end += 1
        signs.append(pattern[end] if pattern[end] == "-" else re.escape(pattern[end]))
        end += 1
    if end == len(pattern) or signs in ([], ["^"]):
        raise InvalidConfig(f"The pattern {pattern!r} has a bracket that is not closed.")
    try:
        re.compile(f"[{''.join(signs)}]")
    except re.error:
        raise InvalidConfig(f"The pattern {pattern!r} has a range that is not one.") from None
    parts.append(f"(?!/)[{''.join(signs)}]")
    return end + 1


def matching(names: Sequence[str], pattern: str) -> list[str]:
    """Return the names that a pattern matches, sorted."""
    regex = matcher(pattern)
    return sorted(name for name in names if regex.fullmatch(name))

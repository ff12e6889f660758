"""File modes of --chmod: octal, or symbolic such as `u=rwX,go=rX`. (POSIX, "chmod")"""

from __future__ import annotations

import re

from runtime.errors import InvalidConfig

_OCTAL = re.compile(r"[0-7]+")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": 0o4000, "g": 0o2000, "o": 0o1000}
_BITS = {"r": 4, "w": 2, "x": 1}
_LARGEST = 0o7777


def check(text: str) -> None:
    """Raise InvalidConfig if a text is no mode."""
    changed(text, 0, is_directory=False)


def changed(text: str, mode: int, *, is_directory: bool) -> int:
    """Return the mode of a file that had `mode`. Raise InvalidConfig."""
    if _OCTAL.fullmatch(text):
        if (value := int(text, 8)) > _LARGEST:
            raise _refusal(text)
        return value
    for part in text.split(","):
        clause = _CLAUSE.fullmatch(part)
        if not clause:
            raise _refusal(text)
        classes = "ugo" if not clause[1] or "a" in clause[1] else clause[1]
        for sign, permissions in _ACTION.findall(clause[2]):
            mode = _acted(mode, classes, sign, permissions, is_directory=is_directory)
    return mode


def _acted(mode: int, classes: str, sign: str, permissions: str, *, is_directory: bool) -> int:
    before = mode
    for each in set(classes):
        bits = _bits(before, each, permissions, is_directory=is_directory)
        if sign == "=":
            mode &= ~(7 << _SHIFTS[each] | _SPECIAL[each])
        mode = mode & ~bits if sign == "-" else mode | bits
    return mode


def _bits(mode: int, class_: str, permissions: str, *, is_directory: bool) -> int:
    """Return the bits that permissions are for one class: the user, the group or others."""
    if permissions in _SHIFTS:
        return (mode >> _SHIFTS[permissions] & 7) << _SHIFTS[class_]
    bits = sum(_BITS[each] for each in set(permissions) & set(_BITS))
    if "X" in permissions and (is_directory or mode & 0o111):
        bits |= _BITS["x"]
    special = ("s" in permissions and class_ != "o") or ("t" in permissions and class_ == "o")
    return bits << _SHIFTS[class_] | (_SPECIAL[class_] if special else 0)


def _refusal(text: str) -> InvalidConfig:
    return InvalidConfig(f"--chmod={text} is no mode such as 644, 0755 or u=rwX,go=rX")

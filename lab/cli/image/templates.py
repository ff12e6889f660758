"""The part of Go's templates that scripts pass to docker's --format: `{{.ID}}`, `{{json .Config}}`.

Fields, chains of fields, `json`, `len`, `index`, `join`, `upper`, `lower` and text in between; the
escapes `\\t` and `\\n`. Control structures are refused. (docker, "Format command and log output")
"""

from __future__ import annotations

import json
import re
from typing import Any

from lab.errors import LabError

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_CONTROL = ("if", "range", "with", "else", "end", "define", "template", "block")


def check(template: str) -> None:
    """Raise LabError for a template that no row can fill."""
    for action in _ACTION.finditer(_text(template)):
        for word in _words(action[1], template)[1:]:
            if not word.startswith("."):
                _literal(word, template)


def fill(template: str, row: Any) -> str:
    """Return a template's text with the values of `row`. Raise LabError for an unknown field."""
    return _ACTION.sub(lambda action: _shown(_value(action[1], row, template)), _text(template))


def _text(template: str) -> str:
    """Return the text with its actions. Raise LabError if one is open at the end."""
    text = template.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
    if "{{" in _ACTION.sub("", text):
        raise LabError(f"--format {template!r}: an action is not closed by }}}}.")
    return text


def _words(action: str, template: str) -> list[str]:
    """Return a field, or a function and its arguments. Raise LabError for another action."""
    words = _WORD.findall(action)
    if not words:
        raise LabError(f"--format {template!r} has an empty action.")
    name, *arguments = words
    if name in _CONTROL:
        raise LabError(f"--format {template!r}: {name!r} is not supported, use --format json.")
    if name.startswith("."):
        if arguments:
            raise LabError(
                f"--format {template!r}: {arguments[0]!r} behind a field is not supported; write"
                f" a function before it, such as {{{{json {name}}}}}."
            )
    elif name not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise LabError(f"--format {template!r}: there is no function {name!r}, only {known}.")
    return words


def _value(action: str, row: Any, template: str) -> Any:
    name, *arguments = _words(action, template)
    if name.startswith("."):
        return _field(row, name, template)
    values = [_argument(each, row, template) for each in arguments]
    try:
        return _FUNCTIONS[name](*values)
    except (TypeError, IndexError, AttributeError):
        raise LabError(f"--format {template!r}: {name} does not take these values.") from None


def _field(row: Any, path: str, template: str) -> Any:
    value = row
    for name in path.split(".")[1:]:
        if not name:
            continue
        if not isinstance(value, dict) or name not in value:
            known = ", ".join(value) if isinstance(value, dict) else "none"
            raise LabError(
                f"--format {template!r}: there is no field {path!r}; known here: {known}."
            )
        value = value[name]
    return value


def _argument(word: str, row: Any, template: str) -> Any:
    return _field(row, word, template) if word.startswith(".") else _literal(word, template)


def _literal(word: str, template: str) -> Any:
    try:
        if word.startswith('"'):
            return json.loads(word)
        return int(word) if word.isdecimal() else word
    except ValueError:
        words = f"{word[:40]!r} is neither a text in quotes nor a number."
        raise LabError(f"--format {template!r}: {words}") from None


def _index(value: Any, key: Any) -> Any:
    return value.get(key, "") if isinstance(value, dict) else value[key]


_FUNCTIONS: dict[str, Any] = {
    "json": json.dumps,
    "len": len,
    "index": _index,
    "join": lambda values, separator: separator.join(map(str, values)),
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "println": lambda value: f"{value}\n",
}


def _shown(value: Any) -> str:
    """Return a value as Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_shown(each)}' for key, each in sorted(value.items()))}]"
    return str(value)

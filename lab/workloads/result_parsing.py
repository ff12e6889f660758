"""Reading a workload's results from its output."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from lab.errors import TargetFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.workloads.definition import Result

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_THOUSANDS = re.compile(r"([+-]?\d{1,3})((?:,\d{3})+)(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d*)(e[+-]?\d+)?", re.IGNORECASE)
# NaN and infinity as printf(3) prints them, outside of strings; Python's JSON reads other forms.
_NO_NUMBER = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|(?<![\w.])-?(?:nan|inf|infinity)(?![\w.(])', re.IGNORECASE
)
_BEGINS_OBJECT = re.compile(r'\{\s*"(?:[^"\\\n]|\\.)*"\s*:')
_SHOWN = 40


def value_of(result: Result, stdout: bytes, elapsed_ns: int) -> float:
    """Return a result of a workload, in the result's unit, from its output or its elapsed time.

    Raise TargetFailed if the output lacks the number, or if it can't be a time or a rate.
    """
    value = _number(result, stdout, elapsed_ns) * result.times
    if not math.isfinite(value) or value <= 0:
        raise TargetFailed(f"its result is {value:g}: a result in {result.unit} is above zero")
    return value


def _number(result: Result, stdout: bytes, elapsed_ns: int) -> float:
    if result.json:
        return _by_path(result.json, stdout)
    if result.pattern:
        return _by_pattern(result.pattern, stdout)
    return elapsed_ns / 1e9


def _by_path(path: str, output: bytes) -> float:
    """Return the number at a dotted path, in which list elements are given by their index.

    Of several JSON documents, the last with such a number counts, since tools print totals last.
    """
    numbers = [
        number
        for document in _documents(output.decode(errors="replace"))
        if (number := _at(path, document)) is not None
    ]
    if not numbers:
        raise TargetFailed(f"its output has no number at {path} in any JSON document")
    return numbers[-1]


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists of a text, in order, ignoring other text around them.

    Raise TargetFailed for a broken object, since its parts would be at other paths.
    """
    text = _NO_NUMBER.sub(_as_python_reads, text)
    decoder = json.JSONDecoder()
    starts = re.compile(r"[{\[]")
    at = 0
    while begin := starts.search(text, at):
        try:
            document, at = decoder.raw_decode(text, begin.start())
        except ValueError as error:
            if _BEGINS_OBJECT.match(text, begin.start()):
                raise TargetFailed(f"its output has broken JSON: {error}") from error
            at = begin.end()
        except RecursionError as error:
            raise TargetFailed("its output nests brackets too deeply for JSON") from error
        else:
            yield document


def _as_python_reads(token: re.Match[str]) -> str:
    is_read = token[0].startswith('"') or token[0] in {"NaN", "Infinity", "-Infinity"}
    return token[0] if is_read else "NaN"


def _at(path: str, document: Any) -> float | None:
    """Return the number at the path, or None. Raise TargetFailed if it is too large for a float."""
    here = document
    try:
        for step in path.split("."):
            here = here[int(step)] if isinstance(here, list) else here[step]
        if isinstance(here, str):
            return _read(here)
    except (ValueError, LookupError, TypeError):
        return None
    if isinstance(here, bool) or not isinstance(here, int | float):
        return None
    try:
        return float(here)
    except OverflowError as error:
        raise TargetFailed(
            f"its result has {len(str(here))} digits, too many for a float"
        ) from error


def _by_pattern(pattern: str, output: bytes) -> float:
    """Return the number of the last match, since tools print totals last. Raise TargetFailed."""
    matches = re.findall(pattern, output.decode(errors="replace"), re.MULTILINE)
    if not matches:
        raise TargetFailed(f"its output has no match of {pattern!r}")
    try:
        return _read(matches[-1])
    except ValueError as error:
        raise TargetFailed(
            f"its output has {_short(matches[-1])} where a number was expected"
        ) from error


def _read(text: str) -> float:
    """Return the number that a tool printed. Raise ValueError if the text is not a number.

    Commas separate thousands, as in 1,234.5 and 1,234,567, or are the decimal mark, as in 1,5.
    Raise TargetFailed if a comma may be either, as in 1,234.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if grouped := _THOUSANDS.fullmatch(text):
        is_clear = grouped[3] is not None or grouped[2].count(",") > 1
        if not is_clear:
            raise TargetFailed(
                f"its output has {text!r}, which may mean {text.replace(',', '')} or"
                f" {text.replace(',', '.')}: make it print numbers without commas"
            )
        return float(text.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    raise ValueError(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

"""From what a workload printed to its figure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.targets.base import Completed
    from lab.workloads.definition import Result


def value_of(result: Result, done: Completed) -> float:
    """The figure in the result's unit.

    Raises LabError if the output does not have it, or has one that no time or rate can be.
    """
    value = _number(result, done) * result.times
    if value <= 0:
        raise LabError(f"its figure is {value:g}, which is no {result.unit}")
    return value


def _number(result: Result, done: Completed) -> float:
    if result.json:
        return _by_path(result.json, done.stdout)
    if result.pattern:
        return _by_pattern(result.pattern, done.stdout)
    return done.elapsed_ns / 1e9


def _by_path(path: str, output: bytes) -> float:
    """The number at a dotted path; list members are named by their position."""
    try:
        # A tool may say something before its report.
        here: Any = json.loads(output[max(0, output.find(b"{")) :])
        for step in path.split("."):
            here = here[int(step)] if isinstance(here, list) else here[step]
        return float(here)
    except (ValueError, LookupError, TypeError) as error:
        raise LabError(f"its output has no number at {path}: {error!r}") from error


def _by_pattern(pattern: str, output: bytes) -> float:
    """The last match's number, since tools print their sum last."""
    matches = re.findall(pattern, output.decode(errors="replace"), re.MULTILINE)
    if not matches:
        raise LabError(f"its output has no match of {pattern!r}")
    try:
        return float(matches[-1].replace(",", ""))
    except ValueError as error:
        raise LabError(f"its output has {matches[-1]!r} where a number was to be") from error

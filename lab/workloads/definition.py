"""The definition of a workload: a command, its packages, and where its results are read.

    [sort]
    what = "GNU sort of a million numbers"
    packages = ["coreutils"]
    command = "seq 1000000 | sort -R | sort -n >/dev/null"
    threads = 1
    bound-by = "CPU, memory"
    results.sort = { unit = "second", better = "less" }

A result is the command's elapsed time in seconds, unless `json` (a dotted path) or `pattern` (a
regular expression with one group) selects a number in its output.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from lab import toml_file
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path


MAX_TIMEOUT_SECONDS = 86_400.0


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One result of a workload: its unit, the better direction, and where it is read.

    `times` is the factor that converts the number in the output to `unit`.
    """

    unit: str
    better: Literal["less", "more"]
    json: str = ""
    pattern: str = ""
    times: float = 1.0


class Workload(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """One command that runs inside every target; a string is passed to `sh -ec`.

    `packages` are Debian packages, or pinned PyPI packages as `pypi:name==1.0`, which are installed
    in /usr/lib/tonnage/python (for PYTHONPATH). `profile` is `quick` for every run, or `full` for
    runs of the full profile only. `attached` is an attachment of its instance: a network connection
    to the peer at 10.80.0.2, which serves iperf3 on port 17301 and sockperf (TCP) on port 17302, or
    a volume at /mnt. Targets without that attachment skip the workload.
    """

    what: str
    command: str | list[str]
    threads: int
    bound_by: str
    results: dict[str, Result]
    packages: list[str] = []
    profile: Literal["quick", "full"] = "quick"
    attached: Literal["", "host", "bridge", "nat", "user", "volume"] = ""
    timeout_seconds: float = 120.0

    @property
    def argv(self) -> list[str]:
        """The command's arguments as they are executed."""
        return ["sh", "-ec", self.command] if isinstance(self.command, str) else self.command

    def digest(self) -> str:
        """Return a digest of the definition; runs with equal digests can be compared."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def read(path: Path) -> dict[str, Workload]:
    """Return the workloads of a TOML file, by name. Raise InvalidConfig."""
    tables = toml_file.read(path)
    try:
        workloads = msgspec.convert(tables, dict[str, Workload])
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"{path} is not a valid file of workloads: {error}.") from error
    for name, workload in workloads.items():
        if fault := _fault(name, workload):
            raise InvalidConfig(f"{path}: {name}: {fault}.")
    return workloads


def _fault(name: str, workload: Workload) -> str:
    """Return a fault that the types can't express; empty if there is none."""
    for text in (name, *workload.results, *(each.unit for each in workload.results.values())):
        if not text.strip() or text != text.strip() or not text.isprintable():
            return f"{text!r} is not a valid name: use printable characters, no surrounding space"
    if fault := _command_fault(workload):
        return fault
    if not workload.results:
        return "it has no results"
    for package in workload.packages:
        if package.startswith("pypi:") and "==" not in package:
            return f"{package} is not pinned: add its version, as in {package}==1.0"
    for metric, result in workload.results.items():
        if not math.isfinite(result.times) or result.times <= 0:
            return f"{metric}: times is {result.times:g}: it must be above zero, and finite"
        if result.json and result.pattern:
            return f"{metric} has both json and pattern: remove one of them"
        if not result.json and not result.pattern and result.unit != "second":
            return (
                f"{metric} has neither json nor pattern, so it is the elapsed time:"
                " its unit must be second"
            )
        if result.pattern:
            try:
                groups = re.compile(result.pattern).groups
            except re.error as error:
                return f"{metric}: pattern is not a valid regular expression: {error}"
            if groups != 1:
                return f"{metric}: pattern has {groups} groups: it must have one, for the number"
    return ""


def _command_fault(workload: Workload) -> str:
    argv = workload.argv
    if not workload.command or not argv[0] or not argv[-1].strip():
        return "command is empty"
    if any("\0" in word for word in argv):
        return "command has a NUL character"
    if workload.threads < 1:
        return f"threads is {workload.threads}: it must be at least 1"
    if not 0 < workload.timeout_seconds <= MAX_TIMEOUT_SECONDS:
        return (
            f"timeout-seconds is {workload.timeout_seconds:g}: it must be above 0 and at most"
            f" {MAX_TIMEOUT_SECONDS:g}"
        )
    return ""

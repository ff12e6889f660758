"""What a workload is: a command, the packages it needs, and how its results are read.

    [sort]
    what = "GNU sort of a million numbers"
    packages = ["coreutils"]
    command = "seq 1000000 | sort -R | sort -n >/dev/null"
    threads = 1
    bound-by = "CPU, memory"
    results.sort = { unit = "second", better = "less" }

A result is the command's elapsed time in seconds unless `json` (a dotted path) or `pattern` (a
regular expression with one group) says where its output has the number.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path


LONGEST_TIMEOUT_SECONDS = 86_400.0


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One figure of a workload: its unit, which way is better, and where it stands.

    `times` is what the number read is multiplied by to be in `unit`.
    """

    unit: str
    better: Literal["less", "more"]
    json: str = ""
    pattern: str = ""
    times: float = 1.0


class Workload(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """One command, run inside every target; a string is given to `sh -ec`.

    A package is Debian's, or PyPI's, pinned, as `pypi:name==1.0`: that is for `PYTHONPATH`
    /usr/lib/tonnage/python.
    `profile`: whether it is for every run, or for those alone that have the time for it.
    `attached`: what its instance has beyond what all have: a way to the peer, whose address is
    10.80.0.2 and which serves iperf3 on port 17301 and sockperf (TCP) on 17302, or a volume at
    /mnt. Targets that can't have it leave the workload out.
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
        """The command as it is executed."""
        return ["sh", "-ec", self.command] if isinstance(self.command, str) else self.command

    def digest(self) -> str:
        """What two runs have to share for their figures to be of the same thing."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def read(path: Path) -> dict[str, Workload]:
    """The workloads of a TOML file, by name. Raises LabError: which file, and what is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        workloads = msgspec.convert(tables, dict[str, Workload])
    except OSError as error:
        raise LabError(f"{path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise LabError(f"{path} holds no workloads: {error}.") from error
    for name, workload in workloads.items():
        if fault := _fault(name, workload):
            raise LabError(f"{path}: {name}: {fault}.")
    return workloads


def _fault(name: str, workload: Workload) -> str:
    """Return what no type says; empty if nothing is wrong."""
    for text in (name, *workload.results, *(each.unit for each in workload.results.values())):
        if not text.strip() or text != text.strip() or not text.isprintable():
            return f"{text!r} can't name anything: a name is printable, without space around it"
    if fault := _command_fault(workload):
        return fault
    if not workload.results:
        return "it has no results"
    for package in workload.packages:
        if package.startswith("pypi:") and "==" not in package:
            return f"{package} is not pinned: say which version, by =="
    for metric, result in workload.results.items():
        if not math.isfinite(result.times) or result.times <= 0:
            return f"{metric}: times is {result.times:g}: it must be above zero, and finite"
        if result.json and result.pattern:
            return f"{metric} is read by json or by pattern, not by both"
        if not result.json and not result.pattern and result.unit != "second":
            return f"{metric} has neither json nor pattern, so it is a time: its unit is second"
        if result.pattern:
            try:
                groups = re.compile(result.pattern).groups
            except re.error as error:
                return f"{metric}: its pattern is no regular expression: {error}"
            if groups != 1:
                return f"{metric}: its pattern has {groups} groups, where one holds the number"
    return ""


def _command_fault(workload: Workload) -> str:
    argv = workload.argv
    if not workload.command or not argv[0] or not argv[-1].strip():
        return "its command is empty"
    if any("\0" in word for word in argv):
        return "its command has a NUL character"
    if workload.threads < 1:
        return f"threads is {workload.threads}: it must be at least 1"
    if not 0 < workload.timeout_seconds <= LONGEST_TIMEOUT_SECONDS:
        return (
            f"timeout-seconds is {workload.timeout_seconds:g}: it must be above 0 and at most"
            f" {LONGEST_TIMEOUT_SECONDS:g}"
        )
    return ""

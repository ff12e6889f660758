"""The steps of a guest's start, from its kernel log and its systemd, on the host's clock.

The guest's clock begins with its kernel. A line that is written to the log between two readings of
the host's clock gives the offset between the clocks. (proc_kmsg(5), dmesg(1), systemctl(1),
org.freedesktop.systemd1(5): UserspaceTimestampMonotonic and similar properties)
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from lab.targets.base import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.targets.base import CommandResult

_MARK = "tonnage looks at the clock"
_PROPERTIES = ("UserspaceTimestampMonotonic", "UnitsLoadFinishTimestampMonotonic")
_SCRIPT = (
    f"echo {_MARK} >/dev/kmsg; dmesg; [ ! -d /run/systemd/system ] ||"
    f" systemctl show --property={','.join(_PROPERTIES)}"
)
_SECONDS = 60.0
_LINE = re.compile(r"^\[\s*(\d+\.\d+)\] (.*)$", re.MULTILINE)
_PROPERTY = re.compile(r"^(\w+TimestampMonotonic)=(\d+)$", re.MULTILINE)


def spans(
    run: Callable[[list[str], float], CommandResult], begin_ns: int, end_ns: int
) -> list[Span]:
    """Return the steps from `begin_ns`, when the CPUs began to run, to `end_ns` in the program.

    Empty if the guest has no readable log. Raise TargetFailed if the command can't be run.
    """
    before_ns = time.monotonic_ns()
    output = run(["sh", "-c", _SCRIPT], _SECONDS).stdout.decode(errors="replace")
    log = [(float(seconds), text) for seconds, text in _LINE.findall(output)]
    marked = [seconds for seconds, text in log if text == _MARK]
    if not marked:
        return []
    # The line is written as soon as the shell runs, so much closer to the first reading.
    zero_ns = before_ns - int(marked[-1] * 1e9)
    marks = [("firmware and loader", zero_ns)]
    marks += [
        ("kernel", zero_ns + int(seconds * 1e9)) for seconds, text in log if text.startswith("Run ")
    ][:1]
    systemd = {name: int(microseconds) * 1000 for name, microseconds in _PROPERTY.findall(output)}
    for step, name in zip(("initramfs, root file system", "systemd loads its units"), _PROPERTIES,
                          strict=True):  # fmt: skip
        if systemd.get(name):
            marks.append((step, zero_ns + systemd[name]))
    marks.append(("services, until the program runs" if systemd else "init", end_ns))
    return _between(begin_ns, marks)


def _between(begin_ns: int, marks: list[tuple[str, int]]) -> list[Span]:
    """Return steps that follow one another without a gap; none ends before it begins."""
    steps = []
    for step, at_ns in marks:
        end_ns = max(begin_ns, at_ns)
        steps.append(Span(step, begin_ns, end_ns))
        begin_ns = end_ns
    return steps

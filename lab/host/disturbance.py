"""Disturbances of a round: what the host's counters show, and the rule that marks rounds.

The rule was fixed before it was used on any measurement. It looks at the host only, never at the
measured values: a round that is slow for no visible reason is not marked. A marked round is kept
with its reason; docs/method.md says how figures treat it.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import background_load

if TYPE_CHECKING:
    from lab.host.background_load import BackgroundLoad

# CPU shares are of the host's CPU time in the round; pressure is a share of the round's duration.
STEAL_SHARE = 0.02
OTHERS_SHARE = 0.05
MEMORY_PRESSURE_SHARE = 0.01
SWAPPED_BYTES = 1 << 20
FREQUENCY_CHANGE = 0.10

_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_CPUS = Path("/sys/devices/system/cpu")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PRESSURE = re.compile(r"^some .*total=(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """The host's counters at one instant, since boot."""

    at_ns: int
    cpu_seconds: float
    steal_seconds: float
    others: background_load.Reading
    load: float
    pressure_seconds: dict[str, float]
    swapped_bytes: int
    frequencies_mhz: tuple[float, ...]
    clock_source: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """The host's state over a round; `disturbed` has the reasons, empty if there are none.

    Shares are fractions of 1. `load` is the one-minute average at the end. A pressure is the share
    of the round in which some process waited for that resource, including the lab's own; NaN where
    the kernel does not report it. Frequencies are None where the host does not show them.
    """

    seconds: float
    steal_share: float
    others_share: float
    load: float
    pressure_cpu: float
    pressure_memory: float
    pressure_io: float
    swapped_bytes: int
    lowest_mhz: float | None
    highest_mhz: float | None
    clock_source: str
    disturbed: str = ""


COLUMNS = tuple(field.name for field in fields(Conditions))


def read(others: BackgroundLoad) -> Reading:
    """Return the counters now. (proc_stat(5), proc_vmstat(5), proc_loadavg(5); Linux, psi.rst)"""
    ticks = [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]
    swapped_pages = sum(
        int(line.split()[1])
        for line in _lines("/proc/vmstat")
        if line.startswith(("pswpin ", "pswpout "))
    )
    return Reading(
        at_ns=time.monotonic_ns(),
        cpu_seconds=sum(ticks) / _TICKS_A_SECOND,
        steal_seconds=ticks[7] / _TICKS_A_SECOND,
        others=others.read(),
        load=os.getloadavg()[0],
        pressure_seconds={name: _pressure(name) for name in ("cpu", "memory", "io")},
        swapped_bytes=swapped_pages * _PAGE_BYTES,
        frequencies_mhz=frequencies_mhz(),
        clock_source=_text(_CLOCK),
    )


def between(before: Reading, after: Reading) -> Conditions:
    """Return the host's state between two readings, marked if it was disturbed."""
    seconds = max((after.at_ns - before.at_ns) / 1e9, 1e-9)
    cpu_seconds = max(after.cpu_seconds - before.cpu_seconds, 1 / _TICKS_A_SECOND)
    pressure = {
        name: (after.pressure_seconds[name] - before.pressure_seconds[name]) / seconds
        for name in after.pressure_seconds
    }
    frequencies = before.frequencies_mhz + after.frequencies_mhz
    conditions = Conditions(
        seconds=seconds,
        steal_share=(after.steal_seconds - before.steal_seconds) / cpu_seconds,
        others_share=background_load.used_between(before.others, after.others) / cpu_seconds,
        load=after.load,
        pressure_cpu=pressure["cpu"],
        pressure_memory=pressure["memory"],
        pressure_io=pressure["io"],
        swapped_bytes=after.swapped_bytes - before.swapped_bytes,
        lowest_mhz=min(frequencies, default=None),
        highest_mhz=max(frequencies, default=None),
        clock_source=after.clock_source,
    )
    changed = before.clock_source != after.clock_source
    return _marked(conditions, clock_changed=changed)


def _marked(conditions: Conditions, *, clock_changed: bool) -> Conditions:
    """Return the conditions with the reasons for which the round counts as disturbed."""
    lowest, highest = conditions.lowest_mhz, conditions.highest_mhz
    reasons = {
        f"steal took {conditions.steal_share:.0%} of the CPUs": conditions.steal_share
        > STEAL_SHARE,
        f"other processes used {conditions.others_share:.0%} of the CPUs": conditions.others_share
        > OTHERS_SHARE,
        (
            f"some process waited for memory in {conditions.pressure_memory:.0%} of the time"
        ): conditions.pressure_memory > MEMORY_PRESSURE_SHARE,
        f"{conditions.swapped_bytes >> 20} MiB were swapped": conditions.swapped_bytes
        >= SWAPPED_BYTES,
        f"a CPU ran at {lowest or 0:.0f} to {highest or 0:.0f} MHz": bool(
            lowest and highest and highest > lowest * (1 + FREQUENCY_CHANGE)
        ),
        f"the clock source changed to {conditions.clock_source}": clock_changed,
    }
    applying = [reason for reason, applies in reasons.items() if applies]
    return replace(conditions, disturbed="; ".join(applying))


def frequencies_mhz() -> tuple[float, ...]:
    """Return each CPU's frequency, where the host shows it. (cpufreq: scaling_cur_freq in kHz)"""
    texts = (_text(path) for path in sorted(_CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")))
    return tuple(int(kilohertz) / 1e3 for kilohertz in texts if kilohertz)


def _pressure(name: str) -> float:
    total = _PRESSURE.search(_text(Path("/proc/pressure") / name))
    return int(total[1]) / 1e6 if total else float("nan")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""

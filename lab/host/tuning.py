"""What would make this host a quieter one: shown, applied when told, and undone.

The knobs are those of `pyperf system tune` and of the kernel's memory management. Each can tell
whether the host has it, what it is now, be set, and be set back. What was there before is kept
below /run, which a reboot empties as it resets the knobs.
"""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from lab import tables
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = Path("run/tonnage-tuning.json")
_CPUS = "sys/devices/system/cpu"
_CHOSEN = re.compile(r"\[([\w+-]+)\]")

State = Literal["as wanted", "would help", "only at boot", "not here"]


class Knob(Protocol):
    """One thing that can be set on a host. Values are by the path or name of what holds them."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def why(self) -> str:
        """What it does to measurements."""

    def read(self, root: Path) -> dict[str, str]:
        """What is set now; empty if the host has no such thing."""

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """What would be better, for each that is there."""

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Set it so, or back. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Files:
    """A knob that is a file, or one a CPU; of a list of choices the one in brackets is set."""

    name: str
    pattern: str
    better: str
    why: str

    def read(self, root: Path) -> dict[str, str]:
        """What each file says."""
        found = {}
        for path in sorted(root.glob(self.pattern)):
            said = path.read_text().strip()
            chosen = _CHOSEN.search(said)
            found[str(path.relative_to(root))] = chosen[1] if chosen else said
        return found

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """The same in each."""
        return dict.fromkeys(now, self.better)

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Write each file."""
        for path, value in values.items():
            (root / path).write_text(value)


@dataclass(frozen=True, slots=True)
class Swap:
    """The swap areas: on, in the order of their priority, or off. (swapon(8), proc_swaps(5))"""

    name: str = "swap"
    why: str = "memory that is swapped out counts as free, and comes back slowly"

    def read(self, root: Path) -> dict[str, str]:
        """Each area that is on, with its priority."""
        lines = _lines(root / "proc/swaps")[1:]
        return {line.split()[0]: line.split()[4] for line in lines}

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """All off."""
        return dict.fromkeys(now, "off")

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Switch each area off, or on with its priority."""
        for area, value in values.items():
            words = ("swapoff", area) if value == "off" else ("swapon", "-p", value, area)
            if subprocess.run(words, capture_output=True, check=False).returncode:
                raise OSError(f"{' '.join(words)} failed")


@dataclass(frozen=True, slots=True)
class AtBoot:
    """A knob of the kernel's command line: it can be told, not set."""

    name: str
    path: str
    better: str
    why: str

    def read(self, root: Path) -> dict[str, str]:
        """What the kernel was booted with."""
        return {self.path: "".join(_lines(root / self.path)) or "none"}

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """A word for the next boot, unless one was given."""
        return {path: self.better if value == "none" else value for path, value in now.items()}

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Not while the kernel runs."""
        raise OSError("only the kernel's command line sets it")


KNOBS: tuple[Knob, ...] = (
    Files(
        "CPU governor",
        f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_governor",
        "performance",
        "a CPU that clocks up while it is timed makes the first work slower than the rest",
    ),
    Files(
        "turbo (Intel)",
        f"{_CPUS}/intel_pstate/no_turbo",
        "1",
        "the frequency depends on heat and on what the other cores do",
    ),
    Files(
        "turbo (others)",
        f"{_CPUS}/cpufreq/boost",
        "0",
        "the frequency depends on heat and on what the other cores do",
    ),
    Files("KSM", "sys/kernel/mm/ksm/run", "0", "merges pages of machines while they are measured"),
    Files(
        "transparent huge pages",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "madvise",
        "memory comes in steps of 2 MiB, at times that nobody chose",
    ),
    Swap(),
    Files(
        "ASLR",
        "proc/sys/kernel/randomize_va_space",
        "2",
        "one fixed layout is one sample of how memory lies: rounds must draw theirs",
    ),
    Files(
        "NMI watchdog",
        "proc/sys/kernel/nmi_watchdog",
        "0",
        "interrupts each CPU and takes a counter",
    ),
    Files(
        "perf sampling rate",
        "proc/sys/kernel/perf_event_max_sample_rate",
        "1",
        "whoever profiles the host interrupts what is measured",
    ),
    AtBoot(
        "isolated CPUs",
        f"{_CPUS}/isolated",
        "isolcpus=… nohz_full=…",
        "others' threads stay off the CPUs that measure",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One knob as found: `now` and `wanted` in words."""

    name: str
    now: str
    wanted: str
    state: State
    why: str


def look(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[Finding]:
    """Every knob, what it is and what would be better."""
    return [_finding(knob, root) for knob in knobs]


def apply(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[str]:
    """Set every knob as wanted; what was set, a line each.

    What was there at first is kept for `undo`, also over several calls. Raises LabError if one
    can't be set; those set before it are then set back.
    """
    kept = _read_kept(root)
    done = []
    with ExitStack() as undone:
        undone.callback(_keep, root, json.loads(json.dumps(kept)))
        for knob in knobs:
            now = knob.read(root)
            change = {path: value for path, value in knob.wanted(now).items() if now[path] != value}
            if not change or isinstance(knob, AtBoot):
                continue
            before = {path: now[path] for path in change}
            kept[knob.name] = before | kept.get(knob.name, {})
            _keep(root, kept)
            undone.callback(_set, knob, root, before)
            _set(knob, root, change)
            done.append(f"{knob.name}: {_words(before)} → {_words(change)}")
        undone.pop_all()
    return done


def undo(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[str]:
    """Set everything back to what it was before `apply`; what was set, a line each.

    Raises LabError if one can't be set; what is still to be undone stays kept.
    """
    kept = _read_kept(root)
    done = []
    for knob in knobs:
        if before := kept.pop(knob.name, None):
            _set(knob, root, before)
            done.append(f"{knob.name}: back to {_words(before)}")
            _keep(root, kept)
    return done


def show(findings: list[Finding]) -> None:
    """Print the findings as a table on standard output."""
    from rich.console import Console

    marks = {
        "as wanted": ("✓", "green"),
        "would help": ("!", "yellow"),
        "only at boot": ("!", "yellow"),
    }
    rows = [
        (
            tables.cell(*marks.get(each.state, ("·", ""))),
            each.name,
            each.now,
            "" if each.state == "as wanted" else each.wanted,
            each.why,
        )
        for each in findings
    ]
    Console().print(tables.folding(("", "knob", "now", "better", "why"), rows))


def document(findings: list[Finding]) -> list[dict[str, str]]:
    """The findings as JSON has them."""
    return [asdict(each) for each in findings]


def _finding(knob: Knob, root: Path) -> Finding:
    now = knob.read(root)
    wanted = knob.wanted(now)
    state: State
    if not now:
        empty = "none" if isinstance(knob, Swap) else "not here"
        state = "as wanted" if isinstance(knob, Swap) else "not here"
        return Finding(knob.name, empty, "", state, knob.why)
    if now == wanted:
        state = "as wanted"
    else:
        state = "only at boot" if isinstance(knob, AtBoot) else "would help"
    return Finding(knob.name, _words(now), _words(wanted), state, knob.why)


def _set(knob: Knob, root: Path, values: dict[str, str]) -> None:
    try:
        knob.write(root, values)
    except OSError as error:
        raise LabError(f"Can't set {knob.name}: {error.strerror or error}.") from error


def _words(values: dict[str, str]) -> str:
    return ", ".join(dict.fromkeys(values.values()))


def _read_kept(root: Path) -> dict[str, dict[str, str]]:
    try:
        kept: dict[str, dict[str, str]] = json.loads((root / KEPT).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LabError(f"{root / KEPT} can't be read: {error}; remove it.") from error
    return kept


def _keep(root: Path, kept: dict[str, dict[str, str]]) -> None:
    path = root / KEPT
    if not kept:
        path.unlink(missing_ok=True)
        return
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    aside.rename(path)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

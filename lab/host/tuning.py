"""Settings that make this host quieter for measuring: show them, apply them, undo them.

The knobs are those of `pyperf system tune` and of the kernel's memory management. Each knob can be
looked for, read, set and set back. The previous values are stored below /run, which a reboot
empties, as it resets the knobs.
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
from lab.errors import InvalidConfig, Unavailable
from lab.language.message import Language, Message, recalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

STORE = Path("run/tonnage-tuning.json")
_CPUS = "sys/devices/system/cpu"
_CHOSEN = re.compile(r"\[([\w+-]+)\]")

State = Literal["as wanted", "would help", "only at boot", "not here"]


class Knob(Protocol):
    """One setting of a host. Values are keyed by the file or device that holds them."""

    @property
    def name(self) -> str:
        """The name that is shown."""

    @property
    def why(self) -> str:
        """The knob's effect on measurements."""

    def read(self, root: Path) -> dict[str, str]:
        """Return the current values; empty if the host has no such knob."""

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """Return the better value for each current value."""

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Set the values. Raise OSError."""


@dataclass(frozen=True, slots=True)
class Files:
    """A knob in one file or one file per CPU; in a list of choices, brackets mark the current."""

    name: str
    pattern: str
    better: str
    why: str

    def read(self, root: Path) -> dict[str, str]:
        """Return the current choice of each file."""
        values = {}
        for path in sorted(root.glob(self.pattern)):
            text = path.read_text().strip()
            chosen = _CHOSEN.search(text)
            values[str(path.relative_to(root))] = chosen[1] if chosen else text
        return values

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """Return the same value for every file."""
        return dict.fromkeys(now, self.better)

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Write the values to their files."""
        for path, value in values.items():
            (root / path).write_text(value)


@dataclass(frozen=True, slots=True)
class Swap:
    """The swap areas: on, with a priority, or off. (swapon(8), proc_swaps(5))"""

    name: str = "swap"
    why: str = Message("swapped-out memory counts as free, and comes back slowly")

    def read(self, root: Path) -> dict[str, str]:
        """Return the areas that are on, with their priorities."""
        lines = _lines(root / "proc/swaps")[1:]
        return {line.split()[0]: line.split()[4] for line in lines}

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """Return `off` for every area."""
        return dict.fromkeys(now, "off")

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Switch each area off, or on with its priority. Raise OSError."""
        for area, value in values.items():
            words = ("swapoff", area) if value == "off" else ("swapon", "-p", value, area)
            if subprocess.run(words, capture_output=True, check=False).returncode:
                raise OSError(f"{' '.join(words)} failed")


@dataclass(frozen=True, slots=True)
class AtBoot:
    """A knob of the kernel's command line: it can be read, but not set."""

    name: str
    path: str
    better: str
    why: str

    def read(self, root: Path) -> dict[str, str]:
        """Return the value that the kernel was booted with."""
        return {self.path: "".join(_lines(root / self.path)) or "none"}

    def wanted(self, now: dict[str, str]) -> dict[str, str]:
        """Return a parameter for the next boot, unless the kernel was booted with one."""
        return {path: self.better if value == "none" else value for path, value in now.items()}

    def write(self, root: Path, values: dict[str, str]) -> None:
        """Raise OSError: a running kernel can't change its command line."""
        raise OSError("it can only be set on the kernel's command line")


KNOBS: tuple[Knob, ...] = (
    Files(
        Message("CPU governor"),
        f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_governor",
        "performance",
        Message(
            "a CPU that raises its frequency during a measurement makes the first values slower"
        ),
    ),
    Files(
        Message("turbo (Intel)"),
        f"{_CPUS}/intel_pstate/no_turbo",
        "1",
        Message("the frequency depends on temperature and on the load of the other cores"),
    ),
    Files(
        Message("turbo (others)"),
        f"{_CPUS}/cpufreq/boost",
        "0",
        Message("the frequency depends on temperature and on the load of the other cores"),
    ),
    Files(
        "KSM",
        "sys/kernel/mm/ksm/run",
        "0",
        Message("merges pages of machines while they are measured"),
    ),
    Files(
        "transparent huge pages",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "madvise",
        Message("memory grows in steps of 2 MiB, at unpredictable times"),
    ),
    Swap(),
    Files(
        "ASLR",
        "proc/sys/kernel/randomize_va_space",
        "2",
        Message(
            "without it all rounds share one memory layout, whose effect can't be averaged out"
        ),
    ),
    Files(
        Message("NMI watchdog"),
        "proc/sys/kernel/nmi_watchdog",
        "0",
        Message("interrupts each CPU and occupies a performance counter"),
    ),
    Files(
        Message("perf sampling rate"),
        "proc/sys/kernel/perf_event_max_sample_rate",
        "1",
        Message("a profiler on the host interrupts the measured programs"),
    ),
    AtBoot(
        Message("isolated CPUs"),
        f"{_CPUS}/isolated",
        "isolcpus=… nohz_full=…",
        Message("keeps other threads off the CPUs that are used for measuring"),
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one knob; `now` and `wanted` are texts to show."""

    name: str
    now: str
    wanted: str
    state: State
    why: str


def look(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[Finding]:
    """Return the state of every knob."""
    return [_finding(knob, root) for knob in knobs]


def apply(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[str]:
    """Set every knob to its better value; return a line for each change.

    The first previous values are stored for `undo`, also over several calls. Raise Unavailable if a
    knob can't be set; the knobs before it are then set back.
    """
    stored = _load(root)
    changes = []
    with ExitStack() as rollback:
        rollback.callback(_store, root, json.loads(json.dumps(stored)))
        for knob in knobs:
            now = knob.read(root)
            change = {path: value for path, value in knob.wanted(now).items() if now[path] != value}
            if not change or isinstance(knob, AtBoot):
                continue
            before = {path: now[path] for path in change}
            stored[knob.name] = before | stored.get(knob.name, {})
            _store(root, stored)
            rollback.callback(_set, knob, root, before)
            _set(knob, root, change)
            changes.append(f"{knob.name}: {_words(before)} → {_words(change)}")
        rollback.pop_all()
    return changes


def undo(root: Path = Path("/"), knobs: Sequence[Knob] = KNOBS) -> list[str]:
    """Set all knobs back to their values before `apply`; return a line for each change.

    Raise Unavailable if a knob can't be set; the remaining values then stay stored.
    """
    stored = _load(root)
    changes = []
    for knob in knobs:
        if before := stored.pop(knob.name, None):
            _set(knob, root, before)
            changes.append(f"{knob.name}: back to {_words(before)}")
            _store(root, stored)
    return changes


_HEADINGS = (Message("knob"), Message("now"), Message("better"), Message("why"))


def show(findings: list[Finding], language: Language = Language.ENGLISH) -> None:
    """Print the findings as a table on standard output."""
    from rich.console import Console

    marks = {
        "as wanted": ("✓", "green"),
        "would help": ("!", "yellow"),
        "only at boot": ("!", "yellow"),
    }
    rows: list[tuple[str | Text, ...]] = [
        (tables.cell(*marks.get(each.state, ("·", ""))), *_cells(each)) for each in findings
    ]
    Console().print(tables.folding(("", *_HEADINGS), rows, language=language))


def markdown(findings: list[Finding], language: Language = Language.ENGLISH) -> list[str]:
    """Return the findings as the lines of a Markdown table."""
    states = {
        "as wanted": Message("as wanted"),
        "would help": Message("would help"),
        "only at boot": Message("only at boot"),
        "not here": Message("not here"),
    }
    rows = [(states[each.state], *_cells(each)) for each in findings]
    return tables.markdown((Message("state"), *_HEADINGS), rows, language)


def _cells(each: Finding) -> tuple[str, ...]:
    better = "" if each.state == "as wanted" else each.wanted
    return recalled(each.name), recalled(each.now), better, recalled(each.why)


def document(findings: list[Finding]) -> list[dict[str, str]]:
    """Return the findings for JSON output."""
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
        raise Unavailable(f"Can't set {knob.name}: {error.strerror or error}.") from error


def _words(values: dict[str, str]) -> str:
    return ", ".join(dict.fromkeys(values.values()))


def _load(root: Path) -> dict[str, dict[str, str]]:
    try:
        stored: dict[str, dict[str, str]] = json.loads((root / STORE).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"The stored values in {root / STORE} can't be read: {error}. Remove the file."
        ) from error
    return stored


def _store(root: Path, stored: dict[str, dict[str, str]]) -> None:
    path = root / STORE
    if not stored:
        path.unlink(missing_ok=True)
        return
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    aside.rename(path)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

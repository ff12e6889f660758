"""How far the lab can be trusted on this host, and the bounds that it is held to.

A target against itself must show no difference, a slow-down that was put in must be found, the
harness must add next to nothing, and clocks and channels must be as good as they are taken for.
lab/calibration/run.py measures it.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.errors import LabError
from lab.paths import cache_directory
from lab.results.stored_files import read_json
from lab.statistics.estimates import Estimate, estimate_median

if TYPE_CHECKING:
    from lab.host.disturbance import Conditions

HELD = FOUND = 0.95  # of the repetitions
# A lab that is right in 95 % of cases or fewer is right in so many in a row in less than 5 %.
# (Wilks, Annals of Mathematical Statistics 1941)
FEWEST_REPETITIONS = 59
REPETITIONS = 200
ADDED_SHARE, ADDED_SECONDS = 0.02, 0.2e-3  # whichever is more


@dataclass(frozen=True, slots=True)
class Timer:
    """The host's CLOCK_MONOTONIC: its resolution, its smallest step, what reading it takes."""

    resolution_ns: int
    step_ns: int
    read_ns: float


@dataclass(frozen=True, slots=True)
class Added:
    """What the harness adds to something that takes `timed_seconds`, at most `bound_seconds`.

    `added` is the median of what pairs differ by; its interval must lie below the bound.
    """

    what: str
    timed_seconds: float
    added: Estimate
    bound_seconds: float
    met: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """Repetitions of one trial, and in how many of them the lab was right.

    `size` is the difference that was put in. Without one, the interval is right if it holds 1; with
    one, if it lies above 1. `precision` is what was asked for, None where the rounds were fixed;
    `too_wide` counts repetitions that MOST_ROUNDS did not bring there. `low` and `high` bound the
    true share at 95 % (Clopper and Pearson, Biometrika 1934). `met` is None where there were fewer
    than FEWEST_REPETITIONS, unless their interval excludes the bound.
    """

    what: str
    size: float
    precision: float | None
    repetitions: int
    rounds: float
    right: int
    too_wide: int
    low: float
    high: float
    met: bool | None

    @property
    def share(self) -> float:
        """In which part of the repetitions the lab was right."""
        return self.right / self.repetitions


@dataclass(frozen=True, slots=True)
class Channel:
    """A target's channels and clock: medians with intervals, seconds, and seconds a second."""

    target: str
    agent: Estimate
    console: Estimate
    drift: Estimate


@dataclass
class Calibration:
    """All of it, with when and where; `conditions` says what the host was like meanwhile.

    `failures` are the sentences of targets that did not start, or whose channels did not answer.
    """

    host: str
    kernel: str
    began: str
    seed: int
    timer: Timer
    added: list[Added] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    conditions: Conditions | None = None

    def missed(self) -> list[str]:
        """What did not meet its bound."""
        added = [f"what is added to {each.what}" for each in self.added if not each.met]
        return added + [each.what for each in self.trials if each.met is False]

    def untold(self) -> list[str]:
        """Trials with too few repetitions to say whether they met their bound."""
        return [each.what for each in self.trials if each.met is None]

    def document(self) -> dict[str, Any]:
        """The calibration as JSON has it."""
        return {**asdict(self), "missed": self.missed()}


def judge_added(what: str, pairs: list[tuple[float, float]]) -> Added:
    """What the first of each pair, by the harness, takes more than the second."""
    timed = median(without for _, without in pairs)
    added = estimate_median([by_harness - without for by_harness, without in pairs])
    bound = max(ADDED_SHARE * timed, ADDED_SECONDS)
    return Added(what, timed, added, bound, met=added.high is not None and added.high <= bound)


def judge_trial(
    what: str, size: float, precision: float | None, rounds: list[int], right: int, too_wide: int
) -> Trial:
    """A trial whose repetitions took so many rounds each, and were right so many times."""
    from scipy.stats import binomtest

    repetitions = len(rounds)
    bounds = binomtest(right, repetitions).proportion_ci(0.95)
    wanted = FOUND if size else HELD
    return Trial(
        what=what,
        size=size,
        precision=precision,
        repetitions=repetitions,
        rounds=median(rounds),
        right=right,
        too_wide=too_wide,
        low=float(bounds.low),
        high=float(bounds.high),
        met=_met_bound(right, repetitions, wanted, float(bounds.high)),
    )


def _met_bound(right: int, repetitions: int, wanted: float, high: float) -> bool | None:
    if repetitions >= FEWEST_REPETITIONS:
        return right >= wanted * repetitions
    return False if high < wanted else None


def is_right(ratio: Estimate, size: float) -> bool:
    """Whether the interval of a ratio shows what was put in, or nothing where nothing was."""
    if ratio.low is None or ratio.high is None:
        return False
    return ratio.low > 1 if size else ratio.low <= 1 <= ratio.high


def markdown(found: dict[str, Any]) -> str:
    """A calibration, as its document has it, as Markdown."""
    trials = tables.markdown(
        ("trial", "right", "of", "share", "95 % interval", "rounds", "too wide", "bound met"),
        [
            (
                each["what"],
                str(each["right"]),
                str(each["repetitions"]),
                units.share(each["right"] / each["repetitions"]),
                f"{units.share(each['low'])} – {units.share(each['high'])}",
                f"{each['rounds']:g}",
                str(each["too_wide"] or ""),
                _met(each),
            )
            for each in found["trials"]
        ],
    )
    added = tables.markdown(
        ("the harness adds to", "which takes", "added", "95 % interval", "bound", "bound met"),
        [
            (
                each["what"],
                units.quantity(each["timed_seconds"], "second"),
                _centre(each["added"]),
                _interval(each["added"]),
                units.quantity(each["bound_seconds"], "second"),
                _met(each),
            )
            for each in found["added"]
        ],
    )
    channels = tables.markdown(
        ("target", "request and reply", "95 % interval", "console", "95 % interval", "clock gains"),
        [
            (
                each["target"],
                _centre(each["agent"]),
                _interval(each["agent"]),
                _centre(each["console"]),
                _interval(each["console"]),
                f"{_drift(each['drift']['centre'])} ({_drift(each['drift']['low'])} to"
                f" {_drift(each['drift']['high'])})",
            )
            for each in found["channels"]
        ],
    )
    timer, conditions = found["timer"], found["conditions"]
    clock = (
        f"The host's clock: resolution {timer['resolution_ns']} ns, smallest step"
        f" {timer['step_ns']} ns, {timer['read_ns']:.0f} ns to read."
    )
    host = (
        f"Host {found['host']}, Linux {found['kernel']}, {found['began']}, seed {found['seed']},"
        f" {conditions['seconds']:.0f} s; others' processes used"
        f" {units.share(conditions['others_share'])} of the CPUs, steal took"
        f" {units.share(conditions['steal_share'])}, load {conditions['load']:.1f}."
    )
    failures = [f"- failed: {failure}" for failure in found["failures"]]
    blocks = ("\n".join(lines) for lines in (trials, added, channels, failures) if lines)
    parts = (*blocks, clock, host)
    return "\n\n".join(parts) + "\n"


def sentence(found: dict[str, Any] | None) -> str:
    """A calibration in a sentence, for the page of a run; that there is none, if so."""
    if not found:
        return "The lab was not calibrated on this host: tonnage calibrate."
    fewest = min((each["repetitions"] for each in found["trials"]), default=0)
    if fewest < FEWEST_REPETITIONS:
        return (
            f"The lab was not calibrated on this host: {fewest} repetitions of a trial, on"
            f" {found['began'][:10]}, are too few to tell; tonnage calibrate makes"
            f" {REPETITIONS}."
        )
    shares = [each["right"] / each["repetitions"] for each in found["trials"] if not each["size"]]
    slower = [
        f"{units.share(each['size'])} in {units.share(each['right'] / each['repetitions'])}"
        for each in found["trials"]
        if each["size"]
    ]
    added = [f"{_centre(each['added'])} to {each['what']}" for each in found["added"]]
    missed = f"; bounds that were missed: {'; '.join(found['missed'])}" if found["missed"] else ""
    return (
        f"Calibrated {found['began'][:10]}: a target against itself shows no difference in at least"
        f" {units.share(min(shares, default=None))} of repetitions; of slow-downs that were put in,"
        f" {', '.join(slower)} are found; the harness adds {', '.join(added)}{missed}."
    )


def remember(calibration: Calibration) -> bool:
    """Keep it as this host's newest, for the reports of its runs; return True if it is kept.

    One with too few repetitions is not: it would replace one that tells. Raises LabError.
    """
    if not calibration.trials or calibration.untold():
        return False
    path = _newest()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(calibration.document()) + "\n", encoding="utf-8")
        aside.rename(path)
    except OSError as error:
        raise LabError(f"Can't keep the calibration: {path}: {error.strerror}.") from error
    return True


def newest() -> dict[str, Any] | None:
    """Return the newest calibration of this host, as `document` gave it.

    None if there is none, or it is torn, of another version or has a number that is none.
    """
    try:
        found = read_json(_newest())
        markdown(found), sentence(found)
    except (OSError, LabError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return found if found.get("host") == socket.gethostname() else None


def _newest() -> Path:
    return cache_directory() / "calibration.json"


def _met(each: dict[str, Any]) -> str:
    few = each.get("repetitions", FEWEST_REPETITIONS) < FEWEST_REPETITIONS
    if each["met"] is None or (each["met"] and few):
        return f"can't be told by fewer than {FEWEST_REPETITIONS}"
    return "yes" if each["met"] else tables.Marked("**no**")


def _centre(estimate: dict[str, Any]) -> str:
    return units.quantity(estimate["centre"], "second")


def _interval(estimate: dict[str, Any]) -> str:
    return units.interval(estimate["low"], estimate["high"], "second")


def _drift(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value * 1e6:.0f} µs/s"

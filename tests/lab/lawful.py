"""Hypothesis strategy for run folders in any lawful state.

A lawful state can be left by a run on any host: disturbed rounds, absent or failed targets, a
single round, equal values, zeros, any choice of experiments, names with markup, and a last line
that was truncated by a power loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Round, Sample
from tests.lab.plausible import EXPERIMENTS, HOST, SETTINGS, round_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

    from lab.results.run_folder import Run

MARKUP = (
    "io[read]", "t[/x]", "a|b<i>", "$x^2$", "$", "_em_ *strong*", "`tick`", "cpu: mine",
    "begin: mine", "step: mine", "running", "memory-available", "zwei\nZeilen", "é λ &amp; \\n",
)  # fmt: skip
TARGETS = ("native", "container", "crun", "podman", "vm", "microvm", "qemu", "a$b|[c]<d>_`")
ROUNDS = (1, 2, 3, 7)
MOST_STEPS = 7


@dataclass(frozen=True, repr=False)
class Lawful:
    """The content of a run folder; `cut` bytes are lost at the end of each table."""

    host: dict[str, Any]
    settings: dict[str, Any]
    samples: tuple[Sample, ...]
    rounds: tuple[Round, ...]
    cut: int

    def __repr__(self) -> str:
        targets = ", ".join(self.settings["targets"])
        experiments = ", ".join(self.settings["experiments"])
        return f"<{len(self.samples)} samples of {targets} in {experiments}; {self.cut} bytes cut>"

    def write(self, path: Path) -> Run:
        """Write the folder and load it."""
        with RunFolder(path, self.host, self.settings) as folder:
            folder.append(self.samples)
            for each in self.rounds:
                folder.append([], each)
        if not self.rounds:
            (path / "rounds.csv").unlink()
        for table in path.glob("*.csv"):
            whole = table.read_bytes()
            last = whole.rstrip().rfind(b"\n") + 1
            table.write_bytes(whole[: max(last, len(whole) - self.cut)] if self.cut else whole)
        return run_folder.load(path)


@st.composite
def runs(draw: DrawFn) -> Lawful:
    """Draw the content of a run folder."""
    experiments = draw(st.lists(st.sampled_from(EXPERIMENTS), min_size=1, unique=True))
    targets = draw(st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4, unique=True))
    workloads = draw(st.lists(st.sampled_from(MARKUP), min_size=1, max_size=3, unique=True))
    units = {name: draw(st.sampled_from(["second", "MB/s", "byte"])) for name in workloads}
    samples: list[Sample] = []
    rounds: list[Round] = []
    for experiment in experiments:
        count = draw(st.sampled_from(ROUNDS))
        disturbed = draw(_some_of(count))
        rounds += [
            round_of(experiment, number, "others' processes used 40 %" * (number in disturbed))
            for number in range(count)
        ]
        for target in targets:
            failed = draw(_some_of(count))
            made = _MEASURED[experiment](target, units, draw)
            samples += _over_rounds(draw, made, count, failed)
    settings = {
        **SETTINGS,
        "experiments": experiments,
        "targets": targets,
        "absent": {"docker": draw(st.sampled_from(["not <installed>", "$PATH has no `docker`"]))},
        "accelerator": draw(st.sampled_from(["kvm", "tcg"])),
        "workloads": {
            name: {
                "what": f"{name}\nof <b>all</b> | $sorts$",
                "digest": "0",
                "threads": 1,
                "bound_by": "CPU|disk",
                "attached": "",
                "results": {name: {"unit": unit, "better": "less" if unit == "second" else "more"}},
            }
            for name, unit in units.items()
        },
    }
    if draw(st.booleans()):
        del settings["finished"]
    return Lawful(
        host=draw(st.sampled_from([HOST, {"hostname": "bare[1]"}])),
        settings=settings,
        samples=tuple(samples),
        rounds=tuple(rounds) if draw(st.booleans()) else (),
        cut=draw(st.sampled_from([0, 0, 1, 5, 40])),
    )


def _some_of(count: int) -> SearchStrategy[frozenset[int]]:
    """Return a strategy for no, one, most or all of `count` rounds."""
    numbers = [0, 1, (count + 1) // 2, count - 1, count]
    return st.sampled_from(numbers).map(lambda some: frozenset(range(min(some, count))))


def values(*, positive: bool) -> SearchStrategy[Callable[[int], float]]:
    """Return a strategy for functions that give a value for each round or position."""
    sizes = st.sampled_from([1e-9, 0.0023, 1.0, 4e3, 3.3e9])
    return st.builds(
        _pattern,
        sizes,
        st.sampled_from(["equal", "noisy", "rising", "wild", *([] if positive else ["zero"])]),
        st.integers(0, 99),
    )


def _pattern(size: float, kind: str, salt: int) -> Callable[[int], float]:
    def value(at: int) -> float:
        chance = ((at + 1) * 7919 + salt * 104_729) % 101 / 101
        return {
            "equal": size,
            "noisy": size * (1 + chance / 10),
            "rising": size * (1 + at),
            "wild": size * 10 ** (6 * chance),
            "zero": 0.0,
        }[kind]

    return value


def _over_rounds(
    draw: DrawFn, made: list[Sample], count: int, failed: frozenset[int]
) -> Iterator[Sample]:
    """Yield the samples of every round; a failed round has a single censored sample."""
    for number in range(count):
        if number in failed:
            first = made[0]
            reason = (
                f"{first.target} did not reach [ready] within 60 s: exit code <1> | $?\nlast words"
            )
            yield replace(first, round=number, value=None, position=0, censored=reason)
            continue
        yield from (replace(each, round=number, value=_varied(each, number)) for each in made)


def _varied(sample: Sample, number: int) -> float | None:
    if sample.value is None or sample.metric in {"neighbours-seen", "own-kernel", "same-image"}:
        return sample.value
    return sample.value * (1 + number / 50)


def _series(
    draw: DrawFn, experiment: str, target: str, metric: str, unit: str, positions: list[int]
) -> list[Sample]:
    value = draw(values(positive=False))
    return [Sample(experiment, target, metric, unit, 0, value(at), at) for at in positions]


def _single(
    draw: DrawFn, experiment: str, target: str, metric: str, unit: str, *, positive: bool = False
) -> Sample:
    value = draw(values(positive=positive))
    return Sample(experiment, target, metric, unit, 0, value(draw(st.integers(0, 9))))


def _startup(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    metrics = ["first-instruction", "ready", "gone", "cpu: until up"]
    if target in {"vm", "qemu"}:
        metrics.append("userspace")
    steps = draw(st.integers(0, 2))
    metrics += [
        f"{prefix}: {step} $[{step}]" for step in range(steps) for prefix in ("begin", "step")
    ]
    return [_single(draw, "startup", target, metric, "second") for metric in metrics]


def _burst(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    counts = [1 << power for power in range(draw(st.integers(1, 4)))]
    return [
        *(
            sample
            for metric in ("latency-p50", "latency-p95", "latency-p99")
            for sample in _series(draw, "burst", target, metric, "second", counts)
        ),
        *_series(draw, "burst", target, "started-per-second", "/s", counts),
    ]


def _footprint(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    metrics = [
        "image-compressed",
        "image-on-disk",
        "instance-disk",
        "pss",
        "page-cache-again",
        "move",
    ]
    samples = [
        _single(draw, "footprint", target, metric, "byte")
        for metric in draw(st.lists(st.sampled_from(metrics), min_size=1, unique=True))
    ]
    return [
        *samples,
        _single(draw, "footprint", target, "idle-cpu", "second"),
        Sample("footprint", target, "own-kernel", "integer", 0, draw(st.sampled_from([0.0, 1.0]))),
    ]


def _density(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    positions = list(range(0, draw(st.integers(1, MOST_STEPS)) * 3, 3))
    note = draw(st.sampled_from(["stopped by count of 5", "stopped by memory floor of 9 MiB"]))
    more = [
        ("start-latency", "second", positions),
        ("memory-available", "byte", positions),
        ("memory-pss", "byte", positions),
        ("answer-p50", "second", positions[1:]),
        ("answer-p99", "second", positions[1:]),
        ("loaded-answers", "/s", [0]),
        ("teardown", "second", [0]),
    ]
    slope = _single(draw, "density", target, "memory-per-instance-available", "byte")
    if draw(st.booleans()) and slope.value:
        slope = replace(slope, value=-slope.value)
    running = float(positions[-1])
    return [
        Sample("density", target, "running", "integer", 0, running, note=note),
        Sample("density", target, "answering", "integer", 0, running),
        slope,
        *(
            sample
            for metric, unit, at in more
            for sample in _series(draw, "density", target, metric, unit, at)
        ),
    ]


def _performance(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    own = [_single(draw, "performance", target, f"cpu: {name}", "second") for name in units]
    return [
        *(
            _single(draw, "performance", target, name, unit, positive=True)
            for name, unit in units.items()
        ),
        *(each for each in own if each.metric not in units),
        _single(draw, "performance", target, "clock: inside / host", "ratio", positive=True),
    ]


def _isolation(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    noises = draw(st.lists(st.sampled_from(["cpu", "memory", "disk"]), min_size=1, unique=True))
    ratios = [name for noise in noises for name in (f"beside-{noise}", f"beside-{noise}-limited")]
    return [
        *(
            _single(draw, "isolation", target, name, "ratio", positive=True)
            for name in (*ratios, "squeezed")
        ),
        Sample("isolation", target, "neighbours-seen", "integer", 0, 0.0),
        _single(draw, "isolation", target, "cpus-granted", "CPUs"),
        _single(draw, "isolation", target, "memory-granted", "byte"),
        _single(draw, "isolation", target, "processes-granted", "integer"),
    ]


def _delivery(target: str, units: dict[str, str], draw: DrawFn) -> list[Sample]:
    times = ["pull-cold", "pull-warm", "build-cold", "build-cached", "push", "save", "ready"]
    sizes = ["wire-cold", "stored", "archive"]
    return [
        *(
            _single(draw, "delivery", target, metric, "second")
            for metric in draw(st.lists(st.sampled_from(times), min_size=1, unique=True))
        ),
        *(_single(draw, "delivery", target, metric, "byte") for metric in sizes),
        _single(draw, "delivery", target, "step: fetch $[x]", "second"),
        Sample("delivery", target, "same-image", "integer", 0, draw(st.sampled_from([0.0, 1.0]))),
    ]


_MEASURED: dict[str, Callable[[str, dict[str, str], DrawFn], list[Sample]]] = {
    "startup": _startup,
    "burst": _burst,
    "footprint": _footprint,
    "density": _density,
    "performance": _performance,
    "isolation": _isolation,
    "delivery": _delivery,
}

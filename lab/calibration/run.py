"""The calibration itself: the lab measured by its own means, for `tonnage calibrate`."""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import os
import platform
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.calibration import aa_trials, channel_latency, model, names, overhead, store, text
from lab.calibration.model import Calibration, Overhead, TargetChannels, Timer, Trial
from lab.errors import InvalidConfig, LabError, Unavailable
from lab.host import disturbance, measurement_lock, plain_paths
from lab.host.background_load import BackgroundLoad
from lab.host.scratch import scratch_directory
from lab.progress import Progress
from lab.statistics import stopping_rule
from lab.statistics.estimates import Estimate, estimate_median, paired_ratio
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build, kvm_probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.calibration.aa_trials import Work

ReportProgress = Callable[[str], None]
Measure = Callable[[int, int], list[tuple[float, float]]]  # takes rounds and a seed

TARGETS = ("native", "container", "microvm")
AA_TARGETS = ("native", "container")
SLOW_DOWNS = (0.05, 0.10, 0.50)
WORK_SECONDS = 0.005
ROUNDS = 15  # of a trial with a fixed number of rounds
MOST_ROUNDS = 100  # of a trial with a fixed precision
PAIRS = 200
CHANNELS, DRIFTS = 40, 5
_CLOCK_READS = 20_000
_DEADLINE_SECONDS = 600.0


@dataclass(frozen=True)
class CalibrationRequest:
    """The options of `tonnage calibrate`."""

    repetitions: int = model.REPETITIONS
    seed: int | None = None
    out: Path | None = None
    wait: bool = False


def run(request: CalibrationRequest) -> tuple[Path, Calibration]:
    """Calibrate into a new folder: calibration.json, calibration.md and every value in pairs.csv.

    The result becomes this host's newest calibration unless it has too few repetitions. Raise
    LabError if the host can't be calibrated now.
    """
    if os.geteuid() != 0:
        raise Unavailable(
            "calibrate needs root for namespaces, cgroups and mounts: run it with sudo."
        )
    with (
        Progress() as progress,
        measurement_lock.measurement_lock(wait=request.wait, progress=progress.tell),
        plain_paths.plain_cache(),
        ExitStack() as stack,
    ):
        land = build.build(progress.tell)
        accelerator = kvm_probe.accelerator(progress.tell)
        scratch = stack.enter_context(scratch_directory())
        path = _new_folder(request.out)
        settings = Settings(land, scratch, accelerator)
        workers = {name: stack.enter_context(Worker(name, settings)) for name in _present()}
        table = (path / "pairs.csv").open("x", newline="", encoding="utf-8")
        pairs = PairsFile(stack.enter_context(table))
        others = BackgroundLoad(os.getpid(), scratch)
        before = disturbance.read(others)
        seed = secrets.randbelow(1 << 31) if request.seed is None else request.seed
        calibration = calibrate(workers, request.repetitions, seed, pairs, progress.tell)
        calibration.conditions = disturbance.between(before, disturbance.read(others))
    document = calibration.document()
    serialized = json.dumps(document, indent=2, ensure_ascii=False)
    (path / "calibration.json").write_text(serialized + "\n", encoding="utf-8")
    (path / "calibration.md").write_text(text.markdown(document), encoding="utf-8")
    store.save(calibration)
    return path, calibration


def _present() -> list[str]:
    from lab import targets

    return [name for name in TARGETS if not targets.find(name).absent()]


def _new_folder(out: Path | None) -> Path:
    stem = f"calibration-{datetime.date.today().isoformat()}-{socket.gethostname()}"
    path, number = out or Path("results") / stem, 1
    while out is None and path.exists():
        number += 1
        path = path.with_name(f"{stem}-{number}")
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise InvalidConfig(
            f"Can't make the folder {path}: {error.strerror}; name another with --out."
        ) from error
    return path


class PairsFile:
    """A CSV file with every value of every trial, a line per round, written while measuring."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._writer = csv.writer(file)
        self._writer.writerow(("trial", "repetition", "round", "first_seconds", "second_seconds"))

    def append(self, trial: str, repetition: int, pairs: list[tuple[float, float]]) -> None:
        """Append the rounds of a repetition."""
        for number, pair in enumerate(pairs):
            self._writer.writerow((trial, repetition, number, *(f"{value:.9f}" for value in pair)))
        self._file.flush()


def calibrate(
    workers: dict[str, Worker],
    repetitions: int,
    seed: int,
    pairs: PairsFile,
    report: ReportProgress,
) -> Calibration:
    """Run the whole calibration with the workers, which must include `native`.

    Raise LabError if native or the container fails. Another target's failure costs only its
    channels.
    """
    chance = random.Random(seed)
    native = workers["native"]
    calibration = Calibration(
        host=socket.gethostname(),
        kernel=platform.release(),
        began=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seed=seed,
        timer=timer(),
    )
    work = native.call(_DEADLINE_SECONDS, aa_trials.find_work, WORK_SECONDS)
    report("measuring the overhead of the harness")
    calibration.added.extend(_overheads(native, work, chance, pairs))
    for name, worker in workers.items():
        report(f"measuring channels and clock of {name}")
        try:
            calibration.channels.append(_channels(name, worker))
        except LabError as error:
            calibration.failures.append(str(error))
            report(str(error))
    for trial in _trials(workers, work, repetitions, chance, pairs, report):
        calibration.trials.append(trial)
        report(f"{trial.what}: correct in {trial.right} of {trial.repetitions}")
    return calibration


def timer() -> Timer:
    """Return resolution, smallest step and reading time of the host's clock. (clock_getres(2))"""
    begin_ns = time.monotonic_ns()
    reads = [time.monotonic_ns() for _ in range(_CLOCK_READS)]
    elapsed_ns = time.monotonic_ns() - begin_ns
    steps = [later - earlier for earlier, later in itertools.pairwise(reads)]
    return Timer(
        resolution_ns=round(time.clock_getres(time.CLOCK_MONOTONIC) * 1e9),
        step_ns=min((step for step in steps if step), default=0),
        read_ns=elapsed_ns / _CLOCK_READS,
    )


def _overheads(
    native: Worker, work: Work, chance: random.Random, file: PairsFile
) -> Iterator[Overhead]:
    seed = chance.randrange(1 << 31)
    starts = native.call(_DEADLINE_SECONDS, overhead.of_starts, PAIRS, seed)
    runs = native.call(_DEADLINE_SECONDS, overhead.of_runs, work.calls, PAIRS, seed)
    for what, pairs in ((names.START, starts), (names.COMMAND, runs)):
        file.append(f"added to {what}", 0, pairs)
        yield model.judge_overhead(what, pairs)


def _channels(name: str, worker: Worker) -> TargetChannels:
    latencies = worker.call(_DEADLINE_SECONDS, channel_latency.measure, CHANNELS, DRIFTS)
    return TargetChannels(
        target=name,
        agent=estimate_median(latencies.agent_seconds),
        console=estimate_median(latencies.console_seconds),
        drift=estimate_median(latencies.drift),
    )


def _trials(
    workers: dict[str, Worker],
    work: Work,
    repetitions: int,
    chance: random.Random,
    file: PairsFile,
    report: ReportProgress,
) -> Iterator[Trial]:
    native = workers["native"]

    def by_work(worker: Worker, size: float) -> Measure:
        calls = (work.slower(size), work.calls)
        return lambda rounds, seed: worker.call(
            _DEADLINE_SECONDS, aa_trials.work_rounds, calls, rounds, seed
        )

    def by_starts(worker: Worker) -> Measure:
        return lambda rounds, seed: worker.call(
            _DEADLINE_SECONDS, aa_trials.start_rounds, rounds, seed
        )

    for name in AA_TARGETS:
        worker = workers[name]
        for what, measure in (
            (names.work_against_itself(name), by_work(worker, 0)),
            (names.starts_against_itself(name), by_starts(worker)),
        ):
            report(what)
            yield _repeat(what, 0, None, measure, repetitions, chance, file)
    precision = SLOW_DOWNS[0]
    what = names.precision_against_itself("native", precision)
    yield _repeat(what, 0, precision, by_work(native, 0), repetitions, chance, file)
    for size in SLOW_DOWNS:
        what = names.slow_down(size)
        report(what)
        yield _repeat(what, size, size, by_work(native, size), repetitions, chance, file)


def _repeat(
    what: str,
    size: float,
    precision: float | None,
    measure: Measure,
    repetitions: int,
    chance: random.Random,
    file: PairsFile,
) -> Trial:
    right = too_wide = 0
    rounds = []
    for repetition in range(repetitions):
        first = ROUNDS if precision is None else stopping_rule.PILOT_ROUNDS
        pairs = measure(first, chance.randrange(1 << 31))
        if precision is not None:
            width = stopping_rule.relative_width(_ratio(pairs)) or 0.0
            needed = stopping_rule.rounds_needed([width], precision, first)
            too_wide += needed > MOST_ROUNDS
            more = min(needed, MOST_ROUNDS) - first
            pairs += measure(more, chance.randrange(1 << 31)) if more else []
        file.append(what, repetition, pairs)
        rounds.append(len(pairs))
        right += model.is_right(_ratio(pairs), size)
    return model.judge_trial(what, size, precision, rounds, right, too_wide)


def _ratio(pairs: list[tuple[float, float]]) -> Estimate:
    first, second = ({n: pair[side] for n, pair in enumerate(pairs)} for side in (0, 1))
    return paired_ratio(first, second)

"""The rest of a run that was interrupted: what it asked for, and the rounds that it has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.measurement.request import RunRequest
from lab.results import run_folder
from lab.results.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# What must be as it was: figures of one run are compared with each other.
_HOST = ("hostname", "cpu_model", "cpus", "kernel")
_PLAN = ("accelerator", "targets", "rounds")


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """A round that a run has: its samples and how long it took."""

    number: int
    samples: list[Sample]
    seconds: float


@dataclass(frozen=True)
class Interrupted:
    """A run folder whose run has not ended; `rounds` are its finished rounds by experiment."""

    path: Path
    host: dict[str, Any]
    settings: dict[str, Any]
    rounds: Mapping[str, Sequence[FinishedRound]] = field(default_factory=dict)

    def reopen(self, settings: Mapping[str, Any]) -> run_folder.RunFolder:
        """Return the folder to be written on, with what the run's rest is measured by.

        Samples of a round that was not finished are dropped. Raises LabError.
        """
        resumed = [*self.settings.get("resumed", []), settings["started"]]
        kept = {**settings, "started": self.settings.get("started"), "resumed": resumed}
        finished = {
            (name, each.number): each.samples
            for name, rounds in self.rounds.items()
            for each in rounds
        }
        return run_folder.RunFolder(self.path, self.host, kept, finished)

    def require_same_host(self, host: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
        """Raise LabError if the host is not the one that the run was begun on."""
        for name, before, now in (
            *((name, self.host.get(name), host.get(name)) for name in _HOST),
            *((name, self.settings.get(name), plan.get(name)) for name in _PLAN),
        ):
            if before != now:
                raise LabError(
                    f"{self.path} can't be resumed here: its {name.replace('_', ' ')} was"
                    f" {before}, and is now {now}. Begin a new run."
                )

    def require_same_workloads(self, described: Mapping[str, Any]) -> None:
        """Raise LabError if a workload is missing, or not as it was."""
        for name, workload in self.settings.get("workloads", {}).items():
            now = described.get(name)
            if now is None:
                raise LabError(
                    f"{self.path} runs the workload {name}: give its file again with --workloads."
                )
            if now["digest"] != workload.get("digest"):
                raise LabError(f"The workload {name} has changed since {self.path} was begun.")


def load(path: Path) -> Interrupted:
    """Read the folder of a run that was interrupted.

    Raises LabError if it is no run folder, or the run has ended.
    """
    run = run_folder.load(path)
    if "finished" in run.settings and not run.settings.get("interrupted"):
        raise LabError(f"{path} has ended: there is nothing to resume.")
    samples: dict[tuple[str, int], list[Sample]] = {}
    for row in run.samples.to_dict("records"):
        sample = _sample(row)
        samples.setdefault((sample.experiment, sample.round), []).append(sample)
    rounds: dict[str, list[FinishedRound]] = {}
    for row in run.rounds.to_dict("records"):
        key = (str(row["experiment"]), int(row["round"]))
        finished = FinishedRound(key[1], samples.get(key, []), float(row["seconds"]))
        rounds.setdefault(key[0], []).append(finished)
    return Interrupted(path, run.host, run.settings, rounds)


def request(path: Path, experiments: Sequence[str], workloads: Sequence[Path]) -> RunRequest:
    """Return what the interrupted run was asked for.

    Raises LabError for a run that can't be resumed, and if experiments are named: they are the
    run's own.
    """
    if experiments:
        raise LabError("--resume goes on with the run's own experiments: name none.")
    settings = load(path).settings
    try:
        return RunRequest(
            profile=settings["profile"],
            experiments=tuple(settings["experiments"]),
            targets=asked if (asked := settings["targets_asked"]) is None else tuple(asked),
            rounds=settings["rounds_asked"],
            accelerator=settings["accelerator"],
            seed=settings["seed"],
            start_deadline_seconds=settings["start_deadline_seconds"],
            workloads=tuple(workloads),
            precision=settings["precision"],
            budget_minutes=settings["budget_seconds"] and settings["budget_seconds"] / 60,
            page_cache=settings["page_cache"],
            resumes=path,
        )
    except (KeyError, TypeError) as error:
        raise LabError(
            f"{path} was begun by an older version, which did not keep {error}: begin a new run."
        ) from error


def _sample(row: Mapping[Any, Any]) -> Sample:
    value = float(row["value"])
    return Sample(
        experiment=str(row["experiment"]),
        target=str(row["target"]),
        metric=str(row["metric"]),
        unit=str(row["unit"]),
        round=int(row["round"]),
        value=None if math.isnan(value) else value,
        position=int(row["position"]),
        censored=str(row["censored"]),
        note=str(row["note"]),
    )

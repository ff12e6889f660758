"""Resuming an interrupted run: its request, and the rounds that it finished."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import Incomparable, InvalidConfig, InvalidRun
from lab.measurement.request import RunRequest
from lab.results import run_folder
from lab.results.sample import Sample
from lab.userland.application import DEFAULT_READY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Conditions that must be unchanged, since the figures of one run are compared with each other.
_HOST = ("hostname", "cpu_model", "cpus", "kernel")
_PLAN = ("accelerator", "targets", "rounds")


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """A finished round of a run: its samples and its duration."""

    number: int
    samples: list[Sample]
    seconds: float


@dataclass(frozen=True)
class Interrupted:
    """The folder of an unfinished run; `rounds` has the finished rounds by experiment."""

    path: Path
    host: dict[str, Any]
    settings: dict[str, Any]
    rounds: Mapping[str, Sequence[FinishedRound]] = field(default_factory=dict)

    def reopen(self, settings: Mapping[str, Any]) -> run_folder.RunFolder:
        """Return the folder for further writing, with the settings of the rest of the run.

        Samples of unfinished rounds are dropped. Raise InvalidRun if the folder can't be written.
        """
        resumed = [*self.settings.get("resumed", []), settings["started"]]
        merged = {**settings, "started": self.settings.get("started"), "resumed": resumed}
        finished = {
            (name, each.number): each.samples
            for name, rounds in self.rounds.items()
            for each in rounds
        }
        return run_folder.RunFolder(self.path, self.host, merged, finished)

    def require_same_host(self, host: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
        """Raise Incomparable if the host or the plan differs from that of the first part."""
        for name, before, now in (
            *((name, self.host.get(name), host.get(name)) for name in _HOST),
            *((name, self.settings.get(name), plan.get(name)) for name in _PLAN),
        ):
            if before != now:
                raise Incomparable(
                    f"{self.path} can't be resumed here: its {name.replace('_', ' ')} was"
                    f" {before}, and is now {now}. Start a new run."
                )

    def require_same_image(self, described: Mapping[str, Any] | None) -> None:
        """Raise Incomparable if the image, or what shows that it is ready, has changed."""
        before = self.settings.get("image")
        for name in ("digest", "ready"):
            first, now = (each and each[name] for each in (before, described))
            if first != now:
                raise Incomparable(
                    f"{self.path} can't be resumed: its image's {name} was {first or 'none'}, and"
                    f" is now {now or 'none'}. Start a new run."
                )

    def require_same_workloads(self, described: Mapping[str, Any]) -> None:
        """Raise Incomparable if a workload is missing or was changed."""
        for name, workload in self.settings.get("workloads", {}).items():
            now = described.get(name)
            if now is None:
                raise Incomparable(
                    f"{self.path} runs the workload {name}: give its file again with --workloads."
                )
            if now["digest"] != workload.get("digest"):
                raise Incomparable(
                    f"The workload {name} has changed since {self.path} was started."
                    " Start a new run."
                )

    def require_same_runtimes(self, described: Mapping[str, Any]) -> None:
        """Raise Incomparable if an OCI runtime that the user named has another version now."""
        for name, runtime in self.settings.get("runtime_binaries", {}).items():
            if (now := described[name]) != runtime:
                raise Incomparable(
                    f"{self.path} can't be resumed here: {name} was {_named(runtime)}, and is now"
                    f" {_named(now)}. Start a new run."
                )


def _named(runtime: Mapping[str, str]) -> str:
    return f"{runtime['path']} {runtime['version']}"


def load(path: Path) -> Interrupted:
    """Read the folder of an interrupted run.

    Raise NotFound if it is not a run folder, and InvalidRun if the run was finished.
    """
    run = run_folder.load(path)
    if "finished" in run.settings and not run.settings.get("interrupted"):
        raise InvalidRun(f"{path} is finished: there is nothing to resume.")
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
    """Return the request of the interrupted run.

    Raise InvalidRun if it can't be resumed, and InvalidConfig if experiments are given: a resumed
    run keeps its own.
    """
    if experiments:
        raise InvalidConfig("--resume continues the run's own experiments: give no experiment.")
    settings = load(path).settings
    image = settings.get("image")
    try:
        return RunRequest(
            profile=settings["profile"],
            experiments=tuple(settings["experiments"]),
            targets=asked if (asked := settings["targets_asked"]) is None else tuple(asked),
            rounds=settings["rounds_asked"],
            accelerator=settings["accelerator"],
            seed=settings["seed"],
            start_deadline_seconds=settings["start_deadline_seconds"],
            image=image and image["reference"],
            ready_timeout_seconds=image["ready_timeout_seconds"]
            if image
            else DEFAULT_READY_SECONDS,
            workloads=tuple(workloads),
            precision=settings["precision"],
            budget_minutes=settings["budget_seconds"] and settings["budget_seconds"] / 60,
            page_cache=settings["page_cache"],
            resumes=path,
            runtime_binaries=tuple(
                (name, Path(each["path"]))
                for name, each in settings.get("runtime_binaries", {}).items()
            ),
        )
    except (KeyError, TypeError) as error:
        raise InvalidRun(
            f"{path} was started by an older version, which did not store {error}: start a new run."
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

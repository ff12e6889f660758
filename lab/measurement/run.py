"""One run, from what was asked for to a folder of what was measured.

Everything is checked before anything is started: names, the folder, the host.
"""

from __future__ import annotations

import datetime
import itertools
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab import experiments, targets, version, workloads
from lab.calibration import store
from lab.errors import LabError
from lab.experiments import profiles
from lab.host import kvm, measurement_lock, plain_paths, scratch
from lab.measurement import harness, host_record, resumption
from lab.progress import Progress
from lab.results import run_folder
from lab.statistics import stopping_rule
from lab.targets import environment
from lab.targets.base import Settings
from lab.userland import build, root_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.measurement.request import RunRequest
    from lab.userland.build import Userland


@dataclass(frozen=True)
class Outcome:
    """Where the run lies and the sentences of what failed in it."""

    path: Path
    failures: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """0, or 1 if a measurement failed."""
        return 1 if self.failures else 0


def measure(request: RunRequest) -> Outcome:
    """Measure what is asked for.

    Raises LabError for what can't be measured here, before anything is started.
    """
    if request.out:
        run_folder.refuse_used(request.out)
    begun = resumption.load(request.resumes) if request.resumes else None
    profile = profiles.find(request.profile)
    _refuse_twice("target", request.targets or ())
    _refuse_twice("experiment", request.experiments)
    _refuse_twice("workload file", [path.resolve() for path in request.workloads])
    if request.targets is not None:
        profile = profile.of_named_targets()
    for name in request.experiments:
        experiments.find(name)
    present, absent = _choose(request.targets, profile.name)
    if os.geteuid() != 0:
        raise LabError("Measuring needs root (namespaces, cgroups, mounts): run it with sudo.")
    profile = replace(profile, workloads=workloads.load(profile.name, request.workloads))

    with (
        Progress() as progress,
        measurement_lock.measurement_lock(wait=request.wait, progress=progress.tell),
        plain_paths.plain_cache(),
    ):
        progress.tell("building the user land (kept for the next run)")
        lands = _build_lands(profile, request.experiments, progress)
        progress.tell("looking at the host")
        found = host_record.inspect(request.accelerator, progress.tell)
        plan = harness.Plan(
            profile=profile.on(found.accelerator),
            experiments=request.experiments,
            targets=present,
            rounds=request.rounds,
            seed=secrets.randbelow(1 << 31) if request.seed is None else request.seed,
            accelerator=found.accelerator,
            precision=request.precision,
            budget_seconds=_budget_seconds(request, profile),
            page_cache=request.page_cache,
        )
        document = found.document()
        described = _described(profile.workloads, lands)
        if begun:
            begun.require_same_host(document, plan.settings())
            begun.require_same_workloads(described)
        settings = {
            **plan.settings(),
            "tonnage": version.document(),
            "targets_asked": request.targets,
            "rounds_asked": request.rounds,
            "start_deadline_seconds": request.start_deadline_seconds,
            "environment": environment.DECLARED.document(),
            "absent": absent,
            "calibration": store.newest(),
            "cpu_virtualization": kvm.cpu_flag(),
            "userland": {name: land.tree.parent.name for name, land in lands.items()},
            "workloads": described,
            "started": _now(),
        }
        if begun:
            folder = begun.reopen(settings)
        else:
            path = request.out or run_folder.new_folder(Path("results"), document["hostname"])
            folder = run_folder.RunFolder(path, document, settings)
        progress.tell(f"measuring into {folder.path}")
        with folder, scratch.scratch_directory() as directory:
            try:
                executed = harness.Executed()
                budget = stopping_rule.Budget(plan.budget_seconds, len(plan.experiments))
                for names, land in _stages(request.experiments, lands):
                    executed.add(
                        harness.execute(
                            replace(plan, experiments=names),
                            Settings(
                                land, directory, found.accelerator, request.start_deadline_seconds
                            ),
                            folder,
                            progress,
                            budget,
                            begun.rounds if begun else {},
                        )
                    )
            except BaseException:
                with suppress(LabError):  # on a full disk, the first failure is what counts
                    folder.update_settings({"finished": _now(), "interrupted": True})
                raise
            folder.update_settings({"finished": _now(), **executed.settings()})
    for sentence in executed.failures:
        progress.tell(f"failed: {sentence}")
    return Outcome(folder.path, executed.failures)


def _refuse_twice(what: str, names: Sequence[object]) -> None:
    """Raise LabError if something is named twice: its figures would be counted twice."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise LabError(f"The {what} {name} is named twice: name it once.")


def _budget_seconds(request: RunRequest, profile: profiles.Profile) -> float | None:
    """What was asked for; else, where a precision sets the rounds, what the profile promises."""
    if request.budget_minutes is not None:
        return request.budget_minutes * 60
    return profile.minutes * 60 if request.precision is not None else None


def _build_lands(
    profile: profiles.Profile, names: Iterable[str], progress: Progress
) -> dict[str, Userland]:
    """The basic user land, and, if an experiment runs workloads, the one that has them all."""
    lands = {"basic": build.build(progress.tell)}
    if any(experiments.find(name).RUNS_WORKLOADS for name in names):
        packages = workloads.packages(profile.workloads)
        lands["workloads"] = build.build(progress.tell, packages)
    return lands


def _stages(
    names: Iterable[str], lands: Mapping[str, Userland]
) -> Iterator[tuple[tuple[str, ...], Userland]]:
    """The experiments in their order, those next to one another on one user land together."""

    def land_of(name: str) -> Userland:
        return lands["workloads" if experiments.find(name).RUNS_WORKLOADS else "basic"]

    for land, together in itertools.groupby(names, land_of):
        yield tuple(together), land


def _described(
    chosen: Mapping[str, workloads.Workload], lands: Mapping[str, Userland]
) -> dict[str, object]:
    """What was run, as run.json has it; empty if no experiment runs workloads."""
    if "workloads" not in lands:
        return {}
    tree = lands["workloads"].tree
    return {
        name: {
            "what": workload.what,
            "digest": workload.digest(),
            "versions": root_tree.versions(tree, workload.packages),
            "threads": workload.threads,
            "bound_by": workload.bound_by,
            "attached": workload.attached,
            "results": {
                metric: {"unit": result.unit, "better": result.better}
                for metric, result in workload.results.items()
            },
        }
        for name, workload in chosen.items()
    }


def _choose(asked: Iterable[str] | None, profile: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The targets to measure, and the absent ones with their reasons.

    If none were asked for, they are all that the profile has time for.

    Raises LabError for an unknown name, for one asked for by name that is absent, and for none.
    """
    left_out = targets.FULL_ONLY if profile == "quick" else ()
    all_names = tuple(name for name in targets.NAMES if name not in left_out)
    names = all_names if asked is None else tuple(asked)
    absent = {name: why for name in names if (why := targets.find(name).absent())}
    if asked is not None and absent:
        name, why = next(iter(absent.items()))
        raise LabError(f"{name} can't be measured here: {why}.")
    present = tuple(name for name in names if name not in absent)
    if not present:
        raise LabError("No target was named: --targets takes names, comma-separated.")
    return present, absent


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

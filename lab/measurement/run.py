"""One run: from a request to a folder of measurements.

Names, the folder and the host are checked before anything is started.
"""

from __future__ import annotations

import datetime
import itertools
import os
import secrets
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab import experiments, targets, version, workloads
from lab.calibration import store
from lab.errors import AlreadyExists, InvalidConfig, LabError, Unavailable
from lab.experiments import profiles
from lab.host import kvm, measurement_lock, plain_paths, scratch
from lab.measurement import harness, host_record, image_trial, resumption
from lab.progress import Progress
from lab.results import run_folder
from lab.statistics import stopping_rule
from lab.targets import environment, runtime_binaries
from lab.targets.base import Settings
from lab.userland import build, image_land, image_source, root_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.host.kvm import Accelerator
    from lab.measurement.request import RunRequest
    from lab.targets.runtime_binaries import RuntimeBinary
    from lab.userland.build import Userland
    from runtime.images.store import Image, Store


# The experiments that need no instance that stays.
_OF_COMMANDS_THAT_END = ("startup", "burst")


@dataclass(frozen=True)
class RunResult:
    """The folder of a run, and the messages of its failures."""

    path: Path
    failures: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """Return 0, or 1 if a measurement failed."""
        return 1 if self.failures else 0


@dataclass(frozen=True)
class _Checked:
    """A request whose names and folder were checked: its profile, experiments and targets.

    `untested` has the reason why each experiment that is left out can't be measured, and `absent`
    that of each target.
    """

    profile: profiles.Profile
    experiments: tuple[str, ...]
    untested: dict[str, str]
    targets: tuple[str, ...]
    absent: dict[str, str]
    runtimes: dict[str, RuntimeBinary]
    interrupted: resumption.Interrupted | None


def measure(request: RunRequest) -> RunResult:
    """Measure a request into a run folder.

    Raise LabError before anything is started if the request can't be measured here.
    """
    checked = _check(request)
    with (
        Progress() as progress,
        measurement_lock.measurement_lock(wait=request.wait, progress=progress.tell),
        plain_paths.plain_cache(),
        ExitStack() as stack,
    ):
        progress.tell("building the user land (cached for later runs)")
        lands = _build_lands(checked.profile, request, stack, progress)
        progress.tell("inspecting the host")
        host = host_record.inspect(request.accelerator, progress.tell, checked.runtimes)
        plan = _plan(request, checked, host.accelerator)
        folder = _open_folder(request, checked, plan, host, lands)
        progress.tell(f"measuring into {folder.path}")
        executed = _execute(plan, request, checked, lands, folder, progress)
    for sentence in executed.failures:
        progress.tell(f"failed: {sentence}")
    return RunResult(folder.path, executed.failures)


def _check(request: RunRequest) -> _Checked:
    """Return the checked request. Raise LabError for everything that can be known beforehand."""
    if request.out:
        run_folder.refuse_used(request.out)
    interrupted = resumption.load(request.resumes) if request.resumes else None
    profile = profiles.find(request.profile)
    _refuse_duplicates("target", request.targets or ())
    _refuse_duplicates("experiment", request.experiments)
    _refuse_duplicates("workload file", [path.resolve() for path in request.workloads])
    runtimes = runtime_binaries.examine(request.runtime_binaries)
    profile = profile.with_runtimes(tuple(runtimes))
    if request.targets is not None:
        profile = profile.of_named_targets()
    for name in request.experiments:
        refusal = experiments.image_refusal(name)
        if request.image and refusal:
            raise InvalidConfig(f"{name} can't measure an image: {refusal}. Leave it out.")
    untested = _untested(request.experiments)
    chosen = tuple(name for name in request.experiments if name not in untested)
    present, absent = _choose(request.targets, profile.name, runtimes, image=bool(request.image))
    if os.geteuid() != 0:
        raise Unavailable("Measuring needs root for namespaces, cgroups and mounts: use sudo.")
    profile = replace(profile, workloads=workloads.load(profile.name, request.workloads))
    return _Checked(profile, chosen, untested, present, absent, runtimes, interrupted)


def _plan(request: RunRequest, checked: _Checked, accelerator: Accelerator) -> harness.Plan:
    return harness.Plan(
        profile=checked.profile.on(accelerator),
        experiments=checked.experiments,
        targets=checked.targets,
        rounds=request.rounds,
        seed=secrets.randbelow(1 << 31) if request.seed is None else request.seed,
        accelerator=accelerator,
        precision=request.precision,
        budget_seconds=_budget_seconds(request, checked.profile),
        page_cache=request.page_cache,
    )


def _open_folder(
    request: RunRequest,
    checked: _Checked,
    plan: harness.Plan,
    host: host_record.HostRecord,
    lands: Mapping[str, Userland],
) -> run_folder.RunFolder:
    """Return the run folder for writing: a new one, or that of the interrupted run.

    Raise Incomparable if the host or a workload differs from those of the interrupted run.
    """
    document = host.document()
    described = _described(checked.profile.workloads, lands)
    runtimes = {name: each.document() for name, each in checked.runtimes.items()}
    application = lands["basic"].application
    measured = application.document() if application else None
    settings = {
        **plan.settings(),
        "tonnage": version.document(),
        "targets_asked": request.targets,
        "rounds_asked": request.rounds,
        "start_deadline_seconds": request.start_deadline_seconds,
        "environment": environment.DECLARED.document(),
        "absent": checked.absent,
        "untested": checked.untested,
        "runtime_binaries": runtimes,
        "image": measured,
        "image_digest": application.digest if application else "none",
        "calibration": store.newest(),
        "cpu_virtualization": kvm.cpu_flag(),
        "userland": {name: land.tree.parent.name for name, land in lands.items()},
        "workloads": described,
        "started": _now(),
    }
    if checked.interrupted:
        checked.interrupted.require_same_host(document, plan.settings())
        checked.interrupted.require_same_workloads(described)
        checked.interrupted.require_same_runtimes(runtimes)
        checked.interrupted.require_same_image(measured)
        return checked.interrupted.reopen(settings)
    path = request.out or run_folder.new_folder(Path("results"), document["hostname"])
    return run_folder.RunFolder(path, document, settings)


def _execute(
    plan: harness.Plan,
    request: RunRequest,
    checked: _Checked,
    lands: Mapping[str, Userland],
    folder: run_folder.RunFolder,
    progress: Progress,
) -> harness.ExecutedPlan:
    """Measure the plan into the folder, and record there how the run ended."""
    finished = checked.interrupted.rounds if checked.interrupted else {}
    executed = harness.ExecutedPlan()
    with folder, scratch.scratch_directory() as directory:
        try:
            budget = stopping_rule.Budget(plan.budget_seconds, len(plan.experiments))
            for names, land in _stages(checked.experiments, lands):
                settings = Settings(
                    land,
                    directory,
                    plan.accelerator,
                    request.start_deadline_seconds,
                    runtimes=runtime_binaries.paths(checked.runtimes),
                )
                part = replace(plan, experiments=names)
                executed.add(harness.execute(part, settings, folder, progress, budget, finished))
        except BaseException:
            with suppress(LabError):  # on a full disk, the first error is the one to report
                folder.update_settings({"finished": _now(), "interrupted": True})
            raise
        folder.update_settings({"finished": _now(), **executed.settings()})
    return executed


def _refuse_duplicates(what: str, names: Sequence[object]) -> None:
    """Raise AlreadyExists if a name is given twice: its figures would be counted twice."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise AlreadyExists(f"The {what} {name} is given twice: give it once.")


def _budget_seconds(request: RunRequest, profile: profiles.Profile) -> float | None:
    """Return the requested budget, or the profile's time if a precision sets the rounds."""
    if request.budget_minutes is not None:
        return request.budget_minutes * 60
    return profile.minutes * 60 if request.precision is not None else None


def _build_lands(
    profile: profiles.Profile, request: RunRequest, stack: ExitStack, progress: Progress
) -> dict[str, Userland]:
    """Return the basic user land, and that with all workloads if an experiment runs them.

    The user land of a requested image takes the place of the basic one; `stack` keeps its layers.
    """
    found = None
    if request.image:
        found = stack.enter_context(image_source.found(request.image, progress.tell))
    lands = {"basic": build.build(progress.tell)}
    if found:
        lands["basic"] = _image_land(lands["basic"], request, found, progress)
    if any(experiments.find(name).RUNS_WORKLOADS for name in request.experiments):
        packages = workloads.packages(profile.workloads)
        lands["workloads"] = build.build(progress.tell, packages)
    return lands


def _image_land(
    basic: Userland, request: RunRequest, found: tuple[Store, Image], progress: Progress
) -> image_land.ImageLand:
    """Return the user land of an image. Raise InvalidConfig for a command that ends too early."""
    reference = request.image or ""
    land = image_land.build_image_land(
        basic, *found, reference, request.ready_timeout_seconds, progress.tell
    )
    land = image_trial.with_readiness(land, progress.tell)
    ends = land.measured.readiness.by == "exit"
    if ends and (lasting := set(request.experiments) - set(_OF_COMMANDS_THAT_END)):
        raise InvalidConfig(
            f"The command of {reference} ends by itself, so {', '.join(sorted(lasting))} can't"
            f" measure it: tonnage run {' '.join(_OF_COMMANDS_THAT_END)} --image {reference}."
        )
    progress.tell(f"{reference} is ready when {land.measured.readiness.description()}")
    return land


def _stages(
    names: Iterable[str], lands: Mapping[str, Userland]
) -> Iterator[tuple[tuple[str, ...], Userland]]:
    """Yield the experiments in order, grouped by the user land that they run on."""

    def land_of(name: str) -> Userland:
        return lands["workloads" if experiments.find(name).RUNS_WORKLOADS else "basic"]

    for land, together in itertools.groupby(names, land_of):
        yield tuple(together), land


def _described(
    chosen: Mapping[str, workloads.Workload], lands: Mapping[str, Userland]
) -> dict[str, object]:
    """Return the workloads as they are stored in run.json; empty if no experiment runs them."""
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


def _choose(
    asked: Iterable[str] | None,
    profile: str,
    runtimes: Mapping[str, RuntimeBinary],
    *,
    image: bool = False,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the targets to measure, and the absent ones with their reasons.

    Without a request, these are all targets of the profile, and the runtimes that the user named.
    With `image`, targets that can't run an image are absent. Raise NotFound for an unknown name,
    Unavailable for a requested target that is absent, and InvalidConfig for an empty list, or one
    without a runtime that the user named.
    """
    left_out = targets.FULL_ONLY if profile == "quick" else ()
    all_names = (*(name for name in targets.NAMES if name not in left_out), *runtimes)
    names = all_names if asked is None else tuple(asked)
    if unused := [name for name in runtimes if name not in names]:
        raise InvalidConfig(
            f"--runtime-binary names {unused[0]}, but --targets does not: add it to the list."
        )
    known = runtime_binaries.paths(runtimes)
    absent = {name: why for name in names if (why := _absent(name, known, image=image))}
    if asked is not None and absent:
        name, why = next(iter(absent.items()))
        raise Unavailable(f"{name} can't be measured here: {why}.")
    present = tuple(name for name in names if name not in absent)
    if absent and not present:
        reasons = "; ".join(f"{name}: {why}" for name, why in absent.items())
        raise Unavailable(f"No target can be measured here: {reasons}.")
    if not present:
        raise InvalidConfig("--targets names no target: give names, separated by commas.")
    return present, absent


def _absent(name: str, runtimes: Mapping[str, Path], *, image: bool) -> str:
    target = targets.find(name, runtimes)
    if image and target.image_refusal:
        return f"it can't run an image: {target.image_refusal}"
    return target.absent()


def _untested(names: tuple[str, ...]) -> dict[str, str]:
    """Return the experiments that can't be measured here, with the reasons.

    Raise NotFound for an unknown name, and Unavailable if the user chose such an experiment.
    """
    untested = {name: why for name in names if (why := experiments.absent(name))}
    if untested and names != experiments.EXPERIMENTS:
        name, why = next(iter(untested.items()))
        raise Unavailable(f"{name} can't be measured here: {why}.")
    return untested


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

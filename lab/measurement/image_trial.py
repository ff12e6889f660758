"""A trial of an image before it is measured: does its command end by itself?

An image without a health check and a port is ready when its program runs or, if the command ends by
itself, when it has ended. Only a trial tells which; it decides for all targets of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.host import scratch
from lab.targets import image_readiness
from lab.targets.base import Settings
from lab.targets.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.targets.base import Target
    from lab.userland.image_land import ImageLand

_TRIAL_SECONDS = 3.0
_DEADLINE_SECONDS = 120.0


def with_readiness(land: ImageLand, progress: Callable[[str], None]) -> ImageLand:
    """Return the user land with what shows that its application is ready.

    Raise TargetFailed if the command fails within the trial.
    """
    application = land.measured
    if application.readiness.by != "first instruction":
        return land
    progress(f"trying whether the command of {application.reference} ends by itself")
    with scratch.scratch_directory() as directory:
        settings = Settings(land, directory, "tcg")
        with Worker("container", settings) as worker:
            code = worker.call(_DEADLINE_SECONDS, run_once)
    if code is None:
        return land
    if code:
        raise TargetFailed(
            f"The command of {application.reference} ended with exit code {code}:"
            f" {' '.join(application.command)}."
        )
    return land.with_application(application.that_ends())


def run_once(target: Target) -> int | None:
    """Return the exit code of the command if it ends soon, else None; called in the worker."""
    with target.start() as instance:
        instance.reached("ready")
        return image_readiness.ends_within(instance, _TRIAL_SECONDS)

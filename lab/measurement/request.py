"""The request for a run, as the user makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import experiments
from lab.userland.application import DEFAULT_READY_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host.kvm import AcceleratorChoice
    from lab.measurement.page_cache import State


@dataclass(frozen=True)
class RunRequest:
    """The options of a run; None stands for the default of the profile or of the host.

    `image` is the image to measure instead of the common user land. `resumes` is the folder of an
    interrupted run that is to be continued. `runtime_binaries` are names and paths of OCI runtimes
    that become targets.
    """

    profile: str = "quick"
    experiments: tuple[str, ...] = experiments.EXPERIMENTS
    targets: tuple[str, ...] | None = None
    rounds: int | None = None
    accelerator: AcceleratorChoice = "auto"
    out: Path | None = None
    seed: int | None = None
    start_deadline_seconds: float = 120.0
    image: str | None = None
    ready_timeout_seconds: float = DEFAULT_READY_SECONDS
    workloads: tuple[Path, ...] = ()
    precision: float | None = None
    budget_minutes: float | None = None
    wait: bool = False
    page_cache: State = "warm"
    resumes: Path | None = None
    runtime_binaries: tuple[tuple[str, Path], ...] = ()

"""Delivery: pull, push, build, save and load an image, and copy and convert a machine's disk.

An image is pulled cold, again (warm), and with one layer of it changed; built without the cache,
with it, and with one line of the Dockerfile changed; pushed to a registry that lacks it; saved and
loaded. Then the bytes on the wire and on disk, and the time from the request to pull until the
payload listens; for our own tool also its steps, each done alone. The registry is Debian's
docker-registry on loopback, so a network takes no part in the times.

Each tool is that of a target: `tonnage image` of `container`, podman, docker, and skopeo with umoci
of `runc`, for which they make bundles. A `vm` gets its disk, kernel and initramfs as blobs of the
same registry. Its disk is copied, and converted to another hypervisor's format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import metrics
from lab.delivery import disk, images, own_process, registry, tools
from lab.delivery.turn import Figures, Turn
from lab.results.sample import sample

if TYPE_CHECKING:
    from pathlib import Path

    from lab.delivery.images import Published
    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("pull-cold", "second")
RUNS_WORKLOADS = False
NO_IMAGE = "it delivers images of its own, which are made from the common user land"
MACHINE = "vm"
_TOOLS = {
    "container": tools.Ours.name,
    "podman": tools.Podman.name,
    "docker": tools.Docker.name,
    "runc": tools.Skopeo.name,
}
_DEADLINE_SECONDS = 1200.0
_SECONDS = _DEADLINE_SECONDS - 120


def absent() -> str:
    """Return the reason why delivery can't be measured on this host; empty if it can."""
    return registry.absent()


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True for targets whose tool is installed; a machine joins with the whole user land."""
    if target == MACHINE:
        return profile.delivered == "user land"
    return target in _TOOLS and not tools.absent(_TOOLS[target])


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Measure every operation of the target's tool once; count bytes in the first round."""
    first = number == 0
    progress(f"{worker.target}: delivering images")
    if worker.target == MACHINE:
        values = worker.call(_DEADLINE_SECONDS, measure_disk, counts_bytes=first)
        figures = Figures(values, {}, "")
    else:
        small = profile.delivered == "programs"
        figures = worker.call(
            _DEADLINE_SECONDS, measure_tool, _TOOLS[worker.target], small=small, counts_bytes=first
        )
    notes = {"same-image": figures.image_id, "pull-cold": _TOOLS.get(worker.target, "")}
    return [
        *(
            sample(
                metrics.find("delivery", name),
                worker.target,
                number,
                value,
                note=notes.get(name, ""),
            )
            for name, value in figures.values.items()
        ),
        *(
            sample(
                metrics.DELIVERY_STEP.of(step), worker.target, number, seconds, position=position
            )
            for position, (step, seconds) in enumerate(figures.steps.items())
        ),
    ]


def measure_tool(target: Target, name: str, *, small: bool, counts_bytes: bool) -> Figures:
    """Measure a tool in a process of its own; called in the worker."""
    scratch = target.settings.scratch
    with own_process.new_folder(scratch) as folder:
        published = _published(target, folder, small=small)
        turn = Turn(name, published, scratch / "containers", counts_bytes)
        return own_process.call(turn.measure, folder, tools.FIXED, _SECONDS)


def measure_disk(target: Target, *, counts_bytes: bool) -> dict[str, float]:
    """Measure the delivery of a machine; called in the worker."""
    with (
        own_process.new_folder(target.settings.scratch) as folder,
        registry.running(folder, folder / "machines") as host,
    ):
        return disk.measure(target, host, folder, counts_bytes=counts_bytes)


def _published(target: Target, folder: Path, *, small: bool) -> Published:
    """Return the images in the run's registry storage; the first turn of a run makes them."""
    data = target.settings.scratch / "delivery"
    if found := images.published(data):
        return found
    with registry.running(folder, data) as host:
        tree = target.settings.userland.tree
        ids = images.publish(folder / "made", tree, host, small=small)
    made = images.Published(data, ids)
    images.remember(made)
    return made

"""What a target takes on disk: as shipped, as it lies there, and for one more instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.results import Sample

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.profiles import Profile
    from lab.results import Unit
    from lab.targets.base import Kind, Target
    from lab.worker import Worker

HEADLINE: tuple[str, Unit] = ("instance-disk", "byte")
_DEADLINE_SECONDS = 600.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """A plain process has no image and no layer of its own."""
    return kind != "native"


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Image sizes once, since they do not vary; an instance's bytes every round."""
    sizes = worker.call(_DEADLINE_SECONDS, sizes_of_image) if number == 0 else {}
    sizes["instance-disk"] = worker.call(_DEADLINE_SECONDS, size_of_instance)
    return [
        Sample("footprint", worker.target, metric, "byte", number, float(value))
        for metric, value in sizes.items()
    ]


def sizes_of_image(target: Target) -> dict[str, int]:
    """`image-compressed` and `image-on-disk` in bytes."""
    return target.image_bytes()


def size_of_instance(target: Target) -> int:
    """Bytes on disk that exist for one instance alone, once it is ready."""
    with target.start() as instance:
        instance.reached("ready")
        return target.instance_disk_bytes(instance)

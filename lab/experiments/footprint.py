"""What a target takes: on disk, of memory and of the CPU while idle; and what is inside it.

Disk: the image as shipped, as it looks, as it is allocated and without shared extents; for machines
with kernel and initramfs. Then what exists for one more instance alone. Memory: RSS and PSS of
every process that is there for the instance, VMM, shim and client included, and its cgroup's own
figure with the kernel's memory; the fall of MemAvailable is the density experiment's. Two instances
then read the same files: what the second one adds is page cache that they do not share. And what it
takes to move the image: to copy what is shipped, on one disk, and to unpack it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.experiments.introspection import look_inside
from lab.host.disk_usage import usage
from lab.host.process_usage import activity, cgroup_memory_bytes, memory
from lab.results.sample import Sample

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("instance-disk", "byte")
RUNS_WORKLOADS = False
IDLE_SECONDS = 1.0
# The user land's libraries, the same in every target.
_READ = ["sh", "-c", "cat /usr/lib/x86_64-linux-gnu/*.so* >/dev/null"]
_READ_SECONDS = 120.0
_SETTLE_SECONDS = 0.3
_DEADLINE_SECONDS = 600.0
_UNITS: dict[str, Unit] = {
    "move": "second",
    "idle-cpu": "second",
    "idle-wake-ups": "/s",
    "own-kernel": "integer",
    "processes-inside": "integer",
    "same-user-land": "integer",
}


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """A plain process has no image and no layer of its own."""
    return kind != "native"


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """What does not vary once; what one idle instance takes, every round."""
    first = number == 0
    found = worker.call(_DEADLINE_SECONDS, sizes_of_image) if first else {}
    found |= worker.call(_DEADLINE_SECONDS, move)
    taken, notes = worker.call(_DEADLINE_SECONDS, measure_instance, inside=first)
    found |= taken
    return [
        Sample(
            "footprint",
            worker.target,
            metric,
            _UNITS.get(metric, "byte"),
            number,
            float(value),
            note=notes.get(metric, ""),
        )
        for metric, value in found.items()
    ]


def sizes_of_image(target: Target) -> dict[str, float]:
    """`image-compressed` and `image-on-disk`; `image-apparent` and `image-unique` where told."""
    sizes: dict[str, float] = {**target.image_bytes()}
    if paths := target.image_paths():
        taken = usage(paths)
        sizes |= {"image-apparent": taken.apparent, "image-unique": taken.unique}
    return sizes


def move(target: Target) -> dict[str, float]:
    """Seconds to copy what is shipped and to make of it what an instance starts from."""
    shipped = target.shipped()
    if not shipped:
        return {}
    with tempfile.TemporaryDirectory(dir=target.settings.scratch) as arrived:
        begin_ns = time.monotonic_ns()
        files = [Path(shutil.copy(file, arrived)) for file in shipped]
        target.unpack(files, Path(arrived))
        return {"move": (time.monotonic_ns() - begin_ns) / 1e9}


def measure_instance(target: Target, *, inside: bool) -> tuple[dict[str, float], dict[str, str]]:
    """What one more instance takes once it is ready, and what a second reader of files adds.

    With `inside`, also what it is on the inside. Figures by metric, and notes on some of them.
    """
    with target.start() as other, target.start() as instance:
        for each in (other, instance):
            each.reached("ready")
            each.reached("userspace")
        found: dict[str, float] = {"instance-disk": target.instance_disk_bytes(instance)}
        time.sleep(_SETTLE_SECONDS)
        before, begin_ns = activity(instance.pids()), time.monotonic_ns()
        time.sleep(IDLE_SECONDS)
        after, seconds = activity(instance.pids()), (time.monotonic_ns() - begin_ns) / 1e9
        found["idle-cpu"] = (after.cpu_ns - before.cpu_ns) / 1e9 / seconds
        found["idle-wake-ups"] = (after.waits - before.waits) / seconds
        taken = memory(instance.pids())
        found |= {"rss": taken.rss, "pss": taken.pss}
        if (charged := _charged_bytes(instance)) is not None:
            found["cgroup-memory"] = charged
        found["page-cache-again"] = _read_again(other, instance)
        figures, notes = look_inside(target, other) if inside else ({}, {})
    return found | figures, notes


def _read_again(first: Instance, second: Instance) -> float:
    """Bytes by which the second grows as it reads what the first has read."""
    first.run(_READ, _READ_SECONDS)
    before = _grown_bytes(second)
    if second.run(_READ, _READ_SECONDS).exit_code:
        raise LabError("The user land can't be read from inside.")
    return _grown_bytes(second) - before


def _grown_bytes(instance: Instance) -> int:
    """What grows with an instance's page cache: its cgroup, or, for a machine, its VMM."""
    charged = _charged_bytes(instance)
    return memory(instance.pids()).rss if charged is None else charged


def _charged_bytes(instance: Instance) -> int | None:
    """What the cgroup of the payload is charged with; None for one without a cgroup of its own."""
    for pid in instance.pids():
        with suppress(OSError):
            if (
                b"payload" in Path(f"/proc/{pid}/cmdline").read_bytes()
                and (charged := cgroup_memory_bytes(pid)) is not None
            ):
                return charged
    return None

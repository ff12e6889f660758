"""Footprint: disk, memory and idle CPU time of one instance, and a look inside.

Disk: the image as shipped, its apparent size, its allocated size, and its size without shared
extents; for machines, kernel and initramfs are included. Then the files that exist for one more
instance only. Memory: RSS and PSS of all processes of the instance, including VMM, shim and client,
and the charge of its cgroup with the kernel's memory; the fall of MemAvailable is measured by the
density experiment. Then two instances read the same files: the growth of the second is page cache
that they do not share. Moving the image: copying the shipped files on one disk, and unpacking them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab import metrics
from lab.errors import TargetFailed
from lab.experiments.introspection import look_inside
from lab.host.disk_usage import usage
from lab.host.process_usage import activity, cgroup_memory_bytes, memory
from lab.results.sample import sample

if TYPE_CHECKING:
    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("instance-disk", "byte")
RUNS_WORKLOADS = False
IDLE_SECONDS = 1.0
# The shared libraries of the user land, which are the same in every target.
_READ = ["sh", "-c", "cat /usr/lib/x86_64-linux-gnu/*.so* >/dev/null"]
_READ_SECONDS = 120.0
_SETTLE_SECONDS = 0.3
_DEADLINE_SECONDS = 600.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True except for plain processes, which have no image and no layer."""
    return kind != "native"


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Measure the image in the first round, and one idle instance in every round."""
    first = number == 0
    values = worker.call(_DEADLINE_SECONDS, sizes_of_image) if first else {}
    values |= worker.call(_DEADLINE_SECONDS, move)
    of_instance, notes = worker.call(_DEADLINE_SECONDS, measure_instance, inside=first)
    values |= of_instance
    return [
        sample(
            metrics.find("footprint", name),
            worker.target,
            number,
            float(value),
            note=notes.get(name, ""),
        )
        for name, value in values.items()
    ]


def sizes_of_image(target: Target) -> dict[str, float]:
    """Return the image's sizes, by metric.

    `image-apparent` and `image-unique` are missing if the target does not know its files.
    """
    sizes: dict[str, float] = {**target.image_bytes()}
    if paths := target.image_paths():
        on_disk = usage(paths)
        sizes |= {"image-apparent": on_disk.apparent, "image-unique": on_disk.unique}
    return sizes


def move(target: Target) -> dict[str, float]:
    """Return the seconds to copy the shipped files and to unpack them for starting instances."""
    shipped = target.shipped()
    if not shipped:
        return {}
    with tempfile.TemporaryDirectory(dir=target.settings.scratch) as arrived:
        begin_ns = time.monotonic_ns()
        files = [Path(shutil.copy(file, arrived)) for file in shipped]
        target.unpack(files, Path(arrived))
        return {"move": (time.monotonic_ns() - begin_ns) / 1e9}


def measure_instance(target: Target, *, inside: bool) -> tuple[dict[str, float], dict[str, str]]:
    """Return the usage of one more instance that is ready, and the growth of a second reader.

    With `inside`, add the figures of a look inside. Return values by metric, and notes on some.
    """
    with target.start() as other, target.start() as instance:
        for each in (other, instance):
            each.reached("ready")
            each.reached("userspace")
        values: dict[str, float] = {"instance-disk": target.instance_disk_bytes(instance)}
        time.sleep(_SETTLE_SECONDS)
        before, begin_ns = activity(instance.pids()), time.monotonic_ns()
        time.sleep(IDLE_SECONDS)
        after, seconds = activity(instance.pids()), (time.monotonic_ns() - begin_ns) / 1e9
        values["idle-cpu"] = (after.cpu_ns - before.cpu_ns) / 1e9 / seconds
        values["idle-wake-ups"] = (after.waits - before.waits) / seconds
        used = memory(instance.pids())
        values |= {"rss": used.rss, "pss": used.pss}
        if (charged := _charged_bytes(instance)) is not None:
            values["cgroup-memory"] = charged
        if not target.settings.userland.application:  # an image may have no program that reads
            values["page-cache-again"] = _read_again(other, instance)
        figures, notes = look_inside(target, other) if inside else ({}, {})
    return values | figures, notes


def _read_again(first: Instance, second: Instance) -> float:
    """Return the bytes by which the second instance grows as it reads the first's files."""
    first.run(_READ, _READ_SECONDS)
    before = _page_cache_bound(second)
    if second.run(_READ, _READ_SECONDS).exit_code:
        raise TargetFailed("The user land's libraries can't be read inside the instance.")
    return _page_cache_bound(second) - before


def _page_cache_bound(instance: Instance) -> int:
    """Return a size that grows with the instance's page cache: its cgroup's, or its VMM's RSS."""
    charged = _charged_bytes(instance)
    return memory(instance.pids()).rss if charged is None else charged


def _charged_bytes(instance: Instance) -> int | None:
    """Return the bytes charged to the payload's cgroup; None if it has no cgroup of its own."""
    for pid in instance.pids():
        with suppress(OSError):
            if (
                b"payload" in Path(f"/proc/{pid}/cmdline").read_bytes()
                and (charged := cgroup_memory_bytes(pid)) is not None
            ):
                return charged
    return None

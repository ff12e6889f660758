"""How near to native: the same binaries, on the same user land, timed inside.

Every workload is a fixed amount of work and its figure is seconds, so that less is better
everywhere and a ratio to `native` reads the same for all of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError
from lab.results import Sample
from lab.userland import PAYLOAD_IN_TREE

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.profiles import Profile
    from lab.results import Unit
    from lab.targets.base import Completed, Kind, Target
    from lab.worker import Worker

HEADLINE: tuple[str, Unit] = ("cpu-compress", "second")
_WORKLOAD_SECONDS = 120.0
_DEADLINE_SECONDS = 600.0
_LIBRARY = "/usr/bin/openssl"  # something of one megabyte that is the same file everywhere


@dataclass(frozen=True, slots=True)
class Workload:
    """One command, what it bounds, and where its seconds are read.

    `clock`: the payload's, around the command; or fio's own, around its transfers alone.
    """

    metric: str
    argv: tuple[str, ...]
    clock: Literal["payload", "fio"] = "payload"


def _fio(name: str, *options: str) -> tuple[str, ...]:
    return (
        "fio",
        f"--name={name}",
        "--filename=/tmp/tonnage-fio",
        "--ioengine=psync",
        "--direct=1",
        "--output-format=json",
        *options,
    )


WORKLOADS = (
    Workload("cpu-compress", ("sh", "-c", f"xz -6 -T1 -c {_LIBRARY} >/dev/null")),
    Workload(
        "cpu-hash",
        (
            "openssl",
            "enc",
            "-aes-256-cbc",
            "-pbkdf2",
            "-iter",
            "100000",
            "-pass",
            "pass:tonnage",
            "-in",
            "/etc/hostname",
            "-out",
            "/dev/null",
        ),
    ),
    Workload("memory-copy", (PAYLOAD_IN_TREE, "copy", "32", "24")),
    Workload("system-calls", (PAYLOAD_IN_TREE, "syscalls", "2000000")),
    Workload("context-switches", (PAYLOAD_IN_TREE, "switches", "20000")),
    Workload("process-spawn", (PAYLOAD_IN_TREE, "spawn", "100")),
    Workload(
        "disk-write",
        _fio("write", "--rw=write", "--bs=1M", "--size=64M", "--end_fsync=1"),
        clock="fio",
    ),
    Workload(
        "disk-read",
        _fio("read", "--rw=randread", "--bs=4k", "--size=64M", "--io_size=8M"),
        clock="fio",
    ),
)


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target, every round."""
    return True


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Every workload once, in one fresh instance."""
    seconds = worker.call(_DEADLINE_SECONDS, run_all, WORKLOADS)
    return [
        Sample("performance", worker.target, metric, "second", number, value)
        for metric, value in seconds.items()
    ]


def run_all(target: Target, workloads: tuple[Workload, ...]) -> dict[str, float]:
    """Seconds by metric. Raises LabError if a workload fails."""
    with target.start() as instance:
        instance.reached("ready")
        return {
            workload.metric: _seconds(
                workload, instance.run(list(workload.argv), _WORKLOAD_SECONDS), target.name
            )
            for workload in workloads
        }


def _seconds(workload: Workload, done: Completed, target: str) -> float:
    if done.exit_code:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(
            f"{workload.metric} failed in {target} with exit code {done.exit_code}"
            f"{': ' + said[-1] if said else ''}."
        )
    if workload.clock == "payload":
        return done.elapsed_ns / 1e9
    return _transfer_seconds(done.stdout, target)


def _transfer_seconds(report: bytes, target: str) -> float:
    """Seconds that fio spent transferring, from bytes and bandwidth in its report."""
    try:
        job = json.loads(report)["jobs"][0]
        done = max((job["read"], job["write"]), key=lambda side: side["io_bytes"])
        return float(done["io_bytes"] / done["bw_bytes"])
    except (ValueError, LookupError, ZeroDivisionError) as error:
        raise LabError(f"fio's report from {target} can't be read: {error!r}.") from error

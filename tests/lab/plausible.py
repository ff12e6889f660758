"""Writer of run folders with plausible simulated values."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.host.disturbance import Conditions
from lab.results.run_folder import RunFolder
from lab.results.sample import Round, Sample
from lab.statistics.estimates import slope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = float(1 << 20)
HOST: dict[str, Any] = {
    "hostname": "plausible",
    "kernel": "6.1.0-18-amd64",
    "cpus": 2,
    "cpu_model": "AMD EPYC",
    "memory_bytes": 24 << 30,
    "kvm": {"works": False, "reason": "a Linux guest did not reach its first instruction in 5 s"},
    "facts": [
        {"name": "clock", "value": "tsc", "state": "ok", "meaning": ""},
        {"name": "KVM", "value": "no", "state": "limited", "meaning": "machines are emulated"},
    ],
}
EXPERIMENTS = (
    "startup", "burst", "footprint", "density", "performance", "isolation", "delivery",
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "profile": "quick",
    "targets": ["native", "container", "vm", "microvm", "crun", "podman"],
    "absent": {"docker": "docker is not installed"},
    "experiments": list(EXPERIMENTS),
    "rounds": {"startup": 15, "footprint": 3, "density": 1, "performance": 3},
    "seed": 20,
    "accelerator": "tcg",
    "page_cache": "warm",
    "started": "2026-11-24T11:00:00+00:00",
    "finished": "2026-11-24T11:04:40+00:00",
    "failures": [],
}
STARTS = {  # seconds to first instruction, until ready, until userspace, until gone
    "native": (0.0006, 0.0011, None, 0.0008),
    "container": (0.0026, 0.0033, None, 0.006),
    "crun": (0.0056, 0.0066, None, 0.011),
    "podman": (0.065, 0.070, None, 0.21),
    "vm": (1.5, 6.2, 8.4, 0.12),
    "microvm": (1.2, 1.4, None, 0.09),
}
GRANTED = {"neighbours-seen": 0.0, "cpus-granted": 0.5, "memory-granted": 240 * MIB,
           "processes-granted": 62.0}  # fmt: skip
MACHINES = ("vm", "microvm")
SLOWNESS = {"native": 1.0, "container": 1.01, "crun": 1.01, "podman": 1.02, "vm": 9, "microvm": 10}
WORKLOADS = {
    "cpu-compress": 0.5, "cpu-hash": 0.4, "memory-copy": 0.2, "system-calls": 0.3,
    "context-switches": 0.2, "process-spawn": 0.15, "disk-write": 0.25, "disk-read": 0.8,
}  # fmt: skip
DELIVERED: dict[
    str, tuple[float | None, ...]
] = {  # seconds to pull, build, build from the cache, push
    "container": (0.9, 2.1, 0.4, 0.5),
    "podman": (1.6, 3.4, 0.7, 1.1),
    "vm": (1.3, None, None, None),
}
IMAGES = {"container": (105, 320), "crun": (105, 320), "podman": (105, 330), "vm": (150, 420),
          "microvm": (150, 420)}  # fmt: skip


def write(
    path: Path,
    *,
    accelerator: str = "tcg",
    host: dict[str, Any] | None = None,
    slowness: dict[str, float] | None = None,
    running: dict[str, int] | None = None,
    stop: str = "count",
    experiments: tuple[str, ...] = EXPERIMENTS,
    noise: float = 1.0,
    disturbed: dict[int, str] | None = None,
) -> Path:
    """Write a run folder and return its path."""
    chance = random.Random(3)
    settings = {**SETTINGS, "accelerator": accelerator, "experiments": list(experiments)}
    with RunFolder(path, host or HOST, settings) as folder:
        if "startup" in experiments:
            for number in range(15):
                finished = round_of("startup", number, (disturbed or {}).get(number, ""))
                folder.append(_startup(number, chance, noise), finished)
        if "burst" in experiments:
            folder.append(_burst())
        if "footprint" in experiments:
            for number in range(3):
                folder.append(_footprint(number))
        if "isolation" in experiments:
            for number in range(3):
                folder.append(_isolation(number, chance))
        if "delivery" in experiments:
            for number in range(3):
                folder.append(_delivery(number, random.Random(number)))
        if "density" in experiments:
            for target, most in (running or {"container": 500, "microvm": 8}).items():
                folder.append(_density(target, most, stop, chance))
        if "performance" in experiments:
            for number in range(3):
                folder.append(_performance(number, {**SLOWNESS, **(slowness or {})}, chance, noise))
    return path


def round_of(experiment: str, number: int, disturbed: str = "") -> Round:
    """Return a round on a host with two idle CPUs, or with the given disturbance."""
    conditions = Conditions(
        seconds=20.0, steal_share=0.0, others_share=0.4 if disturbed else 0.001, load=0.8,
        pressure_cpu=0.1, pressure_memory=0.0, pressure_io=0.01, swapped_bytes=0,
        lowest_mhz=None, highest_mhz=None, clock_source="tsc", disturbed=disturbed,
    )  # fmt: skip
    return Round(experiment, number, "2026-11-24T11:00:00+00:00", tuple(STARTS), conditions)


def _startup(number: int, chance: random.Random, noise: float) -> Iterator[Sample]:
    weather = chance.lognormvariate(0, 0.08 * noise)
    for target, spans in STARTS.items():
        if target in MACHINES and number % 5:
            continue
        if target == "microvm" and number == 10:
            reason = "microvm did not reach first-instruction within 60 s"
            yield Sample("startup", target, "first-instruction", "second", number, None, 0, reason)
            continue
        own = weather * chance.lognormvariate(0, 0.05 * noise) * (4 if number == 7 else 1)
        if (first := spans[0]) is not None:
            for place, (step, begin, end) in enumerate((("prepare", 0, 0.3), ("run", 0.3, 1))):
                for metric, at in ((f"begin: {step}", begin), (f"step: {step}", end - begin)):
                    yield Sample(
                        "startup", target, metric, "second", number, at * first * own, place
                    )
        for metric, span in zip(
            ("first-instruction", "ready", "userspace", "gone"), spans, strict=True
        ):
            if span is not None:
                yield Sample("startup", target, metric, "second", number, span * own)


def _burst() -> Iterator[Sample]:
    for target, (first, *_) in STARTS.items():
        for count in (1, 2, 4) if target in MACHINES else (1, 2, 4, 8, 16):
            for metric, factor in (("latency-p50", 0.5), ("latency-p95", 0.9), ("latency-p99", 1)):
                yield Sample("burst", target, metric, "second", 0, first * count * factor, count)
            yield Sample("burst", target, "started-per-second", "/s", 0, 1 / first, count)


def _isolation(number: int, chance: random.Random) -> Iterator[Sample]:
    for target in ("container", "vm"):
        costs = {"cpu": 1.6, "memory": 1.8, "forks": 1.1, "disk": 1.7, "network": 2.1}
        for noise, cost in costs.items():
            value = cost * chance.lognormvariate(0, 0.05)
            yield Sample("isolation", target, f"beside-{noise}", "ratio", number, value)
            if target == "container":
                limited = f"beside-{noise}-limited"
                yield Sample("isolation", target, limited, "ratio", number, 1 + value / 10)
        for metric, granted in GRANTED.items():
            yield Sample("isolation", target, metric, "integer", number, granted)


def _footprint(number: int) -> Iterator[Sample]:
    for target, (compressed, on_disk) in IMAGES.items():
        if number == 0:
            yield Sample("footprint", target, "image-compressed", "byte", 0, compressed * MIB)
            yield Sample("footprint", target, "image-on-disk", "byte", 0, on_disk * MIB)
        own = 12288.0 if target not in MACHINES else 6.3 * MIB + 4096 * number
        yield Sample("footprint", target, "instance-disk", "byte", number, own)
        pss = 120 * MIB if target in MACHINES else 0.4 * MIB
        yield Sample("footprint", target, "pss", "byte", number, pss)
        if target not in MACHINES:
            yield Sample("footprint", target, "cgroup-memory", "byte", number, 0.3 * MIB)
        yield Sample("footprint", target, "page-cache-again", "byte", number, pss / 2)
        idle = 0.02 if target in MACHINES else 0.0
        yield Sample("footprint", target, "idle-cpu", "second", number, idle)


def _delivery(number: int, chance: random.Random) -> Iterator[Sample]:
    for target, times in DELIVERED.items():
        names = ("pull-cold", "build-cold", "build-cached", "push")
        for metric, seconds in zip(names, times, strict=True):
            if seconds is not None:
                value = seconds * chance.lognormvariate(0, 0.02)
                yield Sample("delivery", target, metric, "second", number, value)
        if number == 0:
            wire = IMAGES[target][0] * MIB
            yield Sample("delivery", target, "wire-cold", "byte", number, wire)
        if target not in MACHINES:
            yield Sample("delivery", target, "same-image", "integer", number, 1.0, note="sha256:5")


def _density(target: str, most: int, stop: str, chance: random.Random) -> list[Sample]:
    machine = target in MACHINES
    each, latency = (92 * MIB, 1.3) if machine else (0.42 * MIB, 0.0028)
    counts = list(range(0, most + 1, max(1, most // 20)))
    available = [
        (22 << 30) - each * 1.1 * count + chance.gauss(0, (4 if machine else 0.6) * MIB)
        for count in counts
    ]
    pss = [each * count for count in counts]

    def sample(metric: str, unit: Any, value: float, position: int = 0, note: str = "") -> Sample:
        return Sample("density", target, metric, unit, 0, value, position, note=note)

    return [
        *(
            sample("start-latency", "second",
                   latency * (1 + 0.4 * at / most) * chance.lognormvariate(0, 0.12), at)
            for at in range(most)
        ),
        *(sample("memory-available", "byte", v, n) for n, v in zip(counts, available, strict=True)),
        *(sample("memory-pss", "byte", v, n) for n, v in zip(counts, pss, strict=True)),
        *(sample("answer-p50", "second", 0.0002, n) for n in counts[1:]),
        *(sample("answer-p99", "second", 0.002, n) for n in counts[1:]),
        sample("loaded-answers", "/s", 4000.0),
        sample("memory-per-instance-available", "byte", -slope(counts, available)),
        sample("memory-per-instance-pss", "byte", slope(counts, pss)),
        sample("running", "integer", most, note=f"stopped by {stop} of {most}"),
        sample("answering", "integer", most),
        sample("teardown", "second", 0.0014 * most),
    ]  # fmt: skip


def _performance(
    number: int, slowness: dict[str, float], chance: random.Random, noise: float
) -> Iterator[Sample]:
    for metric, seconds in WORKLOADS.items():
        weather = chance.lognormvariate(0, 0.06 * noise)
        for target, factor in slowness.items():
            value = seconds * factor * weather * chance.lognormvariate(0, 0.012 * noise)
            yield Sample("performance", target, metric, "second", number, value)

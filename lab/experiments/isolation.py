"""Isolation: the cost of a noisy neighbour, and whether limits hold.

A victim does fixed work alone, then beside a neighbour of its own kind that makes one sort of
noise: first under limits that the noise does not reach, then within a small allotment. The figure
is the time beside the neighbour / the time alone, in the same round. Then an instance with the
small allotment takes as much CPU, memory and processes as it can, to compare with what was asked
for; and it does work for which it is too small, compared with an instance that is large enough. A
machine's allotment is its size: its neighbour is always limited, and is measured once.

All noise ends by itself within seconds, and no neighbour has more than PIDS_LIMIT processes. For
network noise, both instances are on one bridge, if the target supports that; otherwise an instance
has its network to itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab import metrics
from lab.errors import TargetFailed
from lab.experiments import noisy_neighbour
from lab.network import isolated_network
from lab.results.sample import sample
from lab.targets import peer_servers
from lab.targets.base import Allotment
from lab.targets.registry import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

    Start = Callable[[Allotment | None], AbstractContextManager[Instance]]

HEADLINE: tuple[str, Unit] = ("beside-cpu", "ratio")
RUNS_WORKLOADS = False
SMALL = Allotment(cpus=0.5, memory_bytes=256 << 20, pids=64)
ROOMY = Allotment()
_DEADLINE_SECONDS = 600.0
_NOISE_BEGINS_SECONDS = 0.5
_TAKE_SECONDS = 120.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True for targets that isolate; emulated machines join some rounds."""
    return kind != "native" and target not in VARIANTS and profile.has_turn(kind, number)


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Measure every sort of noise, then every limit."""
    progress(f"{worker.target}: measuring a victim beside noisy neighbours")
    values = worker.call(_DEADLINE_SECONDS, slow_down)
    progress(f"{worker.target}: using all that the limits allow")
    values |= worker.call(_DEADLINE_SECONDS, take_all)
    notes = _requested(worker.call(10.0, is_machine))
    return [
        sample(
            metrics.find("isolation", name), worker.target, number, value, note=notes.get(name, "")
        )
        for name, value in values.items()
    ]


def is_machine(target: Target) -> bool:
    """Return True if the target is a machine; called in the worker."""
    return target.kind == "machine"


def _requested(machine: bool) -> dict[str, str]:
    """Return a note for each granted amount: the amount that was requested."""
    return {
        "cpus-granted": "asked for 1 CPU, whole" if machine else f"asked for {SMALL.cpus:g} CPUs",
        "memory-granted": f"asked for {SMALL.memory_bytes >> 20} MiB",
        "processes-granted": "limited by its own kernel" if machine else f"asked for {SMALL.pids}",
    }


def slow_down(target: Target) -> dict[str, float]:
    """Return time beside a neighbour / time alone, by metric."""
    slowdowns: dict[str, float] = {}
    with target.start(_roomy(target)) as victim:
        victim.reached("ready")
        for pair in noisy_neighbour.programs(target).pairs:
            slowdowns |= _slowdown(target, victim, pair, target.start)
    if _joins_network(target):
        with (
            peer_servers.network_with_peer(target.settings, peer_servers.ANSWERING) as network,
            target.attached("bridge", _roomy(target), network) as victim,
        ):
            victim.reached("ready")
            slowdowns |= _slowdown(
                target,
                victim,
                noisy_neighbour.programs(target).network,
                lambda allotment: target.attached("bridge", allotment, network),
            )
    return slowdowns


def _joins_network(target: Target) -> bool:
    """Return True if instances can be on one bridge; a machine's image lacks programs for that."""
    if target.kind == "machine" and target.settings.userland.application:
        return False
    return "bridge" in target.attachments and not isolated_network.missing("bridge")


def _slowdown(
    target: Target, victim: Instance, pair: noisy_neighbour.Pair, start: Start
) -> dict[str, float]:
    """Return by how much one sort of noise slows the victim; `start` starts the neighbours."""
    noisy_neighbour.work(victim, pair)  # warm-up: programs are then in the page cache
    alone = noisy_neighbour.work(victim, pair)
    slowdowns = {}
    for metric, allotment in _noises(target, pair):
        with start(allotment) as neighbour:
            neighbour.reached("ready")
            noisy_neighbour.make_noise(neighbour, pair)
            time.sleep(_NOISE_BEGINS_SECONDS)
            slowdowns[metric] = noisy_neighbour.work(victim, pair) / alone
    return slowdowns


def _noises(target: Target, pair: noisy_neighbour.Pair) -> Iterator[tuple[str, Allotment | None]]:
    yield f"beside-{pair.name}", _roomy(target)
    if target.kind != "machine":
        yield f"beside-{pair.name}-limited", SMALL


def _roomy(target: Target) -> Allotment | None:
    """Return an allotment that no noise here uses up; for a machine, its usual size."""
    return None if target.kind == "machine" else ROOMY


def take_all(target: Target) -> dict[str, float]:
    """Return what an instance with the small allotment can use, and what it sees of others."""
    programs = noisy_neighbour.programs(target)
    with target.start(ROOMY) as roomy:
        roomy.reached("ready")
        roomy_seconds = _elapsed(roomy, programs.work)
    with target.start(SMALL) as instance, target.start(SMALL) as other:
        instance.reached("ready")
        other.reached("ready")
        other.run(list(programs.be_seen), _TAKE_SECONDS, keep_children=True)
        seen = instance.run(list(programs.see), _TAKE_SECONDS)
        return {
            "squeezed": _elapsed(instance, programs.work) / roomy_seconds,
            "neighbours-seen": float(seen.stdout or 0),
            "cpus-granted": _cpus(instance, programs.take_cpu),
            "memory-granted": _last(instance, programs.take_memory) * (1 << 20),
            "processes-granted": _last(instance, programs.take_pids),
        }


def _elapsed(instance: Instance, words: noisy_neighbour.Words) -> float:
    return instance.run(list(words), _TAKE_SECONDS).elapsed_ns / 1e9


def _cpus(instance: Instance, words: noisy_neighbour.Words) -> float:
    """Return the CPU time over the elapsed time of two busy processes. (dash(1), times)"""
    result = instance.run(list(words), _TAKE_SECONDS)
    return noisy_neighbour.cpu_seconds(result.stdout) / (result.elapsed_ns / 1e9)


def _last(instance: Instance, words: noisy_neighbour.Words) -> float:
    """Return the last number that the command printed before it reached its limit."""
    result = instance.run(list(words), _TAKE_SECONDS)
    numbers = result.stdout.split()
    if not numbers:
        error = result.stderr.decode(errors="replace").strip()
        raise TargetFailed(f"The command that tests a limit printed nothing: {error}.")
    return float(numbers[-1])

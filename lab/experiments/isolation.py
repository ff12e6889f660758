"""What a noisy neighbour costs, and whether limits hold.

A victim does fixed work alone, then beside a neighbour of its own kind that makes noise of one
sort: with no limit that it meets, then within a small allotment. The figure is the time beside /
the time alone, in the same round. Then an instance with the small allotment takes what it can get
of CPU, memory and processes: what it got stands beside what was asked for; and does work for which
it is too small, against an instance that is not. A machine's allotment is
its size: its neighbour is always limited, and is measured once.

Every noise ends by itself after seconds, and no neighbour has more than PIDS_LIMIT processes. For
noise on a network both are on one bridge, where the target can be put on one; elsewhere an instance
has its network to itself.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.experiments import noisy_neighbour
from lab.network import isolated_network
from lab.results.sample import Sample
from lab.targets import peer_servers
from lab.targets.base import Allotment
from lab.targets.registry import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lab.experiments.base import Tell
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
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
_UNITS: dict[str, Unit] = {
    "squeezed": "ratio",
    "neighbours-seen": "integer",
    "cpus-granted": "CPUs",
    "memory-granted": "byte",
    "processes-granted": "integer",
}

# Two loops for two seconds; the shell then says what its children used.
_TAKE_CPU = "for _ in 1 2; do timeout 2 sh -c 'while :; do :; done' & done; wait; times"
# A buffer that is filled once, 16 MiB larger each time, until that fails.
_TAKE_MEMORY = (
    "for m in $(seq 16 16 512); do"
    " timeout -s KILL 5 dd if=/dev/zero of=/dev/null bs=${m}M count=1 2>/dev/null || break;"
    " echo $m; done"
)
# Two processes' worth of fixed work.
_WORK = (
    "for _ in 1 2; do openssl enc -aes-256-cbc -pbkdf2 -iter 400000 -pass pass:tonnage"
    " -in /etc/hostname -out /dev/null & done; wait"
)
_BE_SEEN = "sleep 86399 >/dev/null 2>&1 &"
# The brackets keep the search from finding itself.
_SEE = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^8639[9]$'; :"
_TAKE_PIDS = "for i in $(seq 200); do sleep 2 >/dev/null 2>&1 & echo $i; done"


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """All that isolate, machines now and then."""
    return kind != "native" and target not in VARIANTS and profile.has_turn(kind, number)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Every sort of noise, then every limit."""
    tell(f"{worker.target}: a victim and its neighbours")
    slowdowns = worker.call(_DEADLINE_SECONDS, slow_down)
    tell(f"{worker.target}: taking what the limits give")
    granted = worker.call(_DEADLINE_SECONDS, take_all)

    asked = _asked(worker.call(10.0, is_machine))

    def sample(metric: str, unit: Unit, value: float) -> Sample:
        note = asked.get(metric, "")
        return Sample("isolation", worker.target, metric, unit, number, value, note=note)

    return [
        *(sample(metric, "ratio", value) for metric, value in slowdowns.items()),
        *(sample(metric, _UNITS[metric], value) for metric, value in granted.items()),
    ]


def is_machine(target: Target) -> bool:
    """Whether the worker's target is one."""
    return target.kind == "machine"


def _asked(machine: bool) -> dict[str, str]:
    """What stands beside each grant."""
    return {
        "cpus-granted": "asked for 1 CPU, whole" if machine else f"asked for {SMALL.cpus:g} CPUs",
        "memory-granted": f"asked for {SMALL.memory_bytes >> 20} MiB",
        "processes-granted": "its own kernel's matter" if machine else f"asked for {SMALL.pids}",
    }


def slow_down(target: Target) -> dict[str, float]:
    """Time beside a neighbour / time alone, by sort of noise and whether it was limited."""
    found: dict[str, float] = {}
    with target.start(_roomy(target)) as victim:
        victim.reached("ready")
        for pair in noisy_neighbour.PAIRS:
            found |= _slowed(target, victim, pair, target.start)
    if "bridge" in target.attachments and not isolated_network.missing("bridge"):
        with (
            peer_servers.wires(target.settings, peer_servers.ANSWERING) as network,
            target.attached("bridge", _roomy(target), network) as victim,
        ):
            victim.reached("ready")
            found |= _slowed(
                target,
                victim,
                noisy_neighbour.NETWORK,
                lambda allotment: target.attached("bridge", allotment, network),
            )
    return found


def _slowed(
    target: Target, victim: Instance, pair: noisy_neighbour.Pair, start: Start
) -> dict[str, float]:
    """By how much one sort of noise slows the victim down; `start` gives it its neighbours."""
    noisy_neighbour.work(victim, pair)  # what is read from disk once is not read again
    alone = noisy_neighbour.work(victim, pair)
    found = {}
    for metric, allotment in _noises(target, pair):
        with start(allotment) as neighbour:
            neighbour.reached("ready")
            noisy_neighbour.make_noise(neighbour, pair)
            time.sleep(_NOISE_BEGINS_SECONDS)
            found[metric] = noisy_neighbour.work(victim, pair) / alone
    return found


def _noises(target: Target, pair: noisy_neighbour.Pair) -> Iterator[tuple[str, Allotment | None]]:
    yield f"beside-{pair.name}", _roomy(target)
    if target.kind != "machine":
        yield f"beside-{pair.name}-limited", SMALL


def _roomy(target: Target) -> Allotment | None:
    """An allotment that no noise here fills; a machine's is its usual size."""
    return None if target.kind == "machine" else ROOMY


def take_all(target: Target) -> dict[str, float]:
    """What an instance with the small allotment gets, and how many of a neighbour's it sees."""
    with target.start(ROOMY) as roomy:
        roomy.reached("ready")
        roomy_seconds = _elapsed(roomy, _WORK)
    with target.start(SMALL) as instance, target.start(SMALL) as other:
        instance.reached("ready")
        other.reached("ready")
        other.run(["sh", "-c", _BE_SEEN], _TAKE_SECONDS, leaving=True)
        seen = instance.run(["sh", "-c", _SEE], _TAKE_SECONDS)
        return {
            "squeezed": _elapsed(instance, _WORK) / roomy_seconds,
            "neighbours-seen": float(seen.stdout or 0),
            "cpus-granted": _cpus(instance),
            "memory-granted": _last(instance, _TAKE_MEMORY) * (1 << 20),
            "processes-granted": _last(instance, _TAKE_PIDS),
        }


def _elapsed(instance: Instance, script: str) -> float:
    return instance.run(["sh", "-c", script], _TAKE_SECONDS).elapsed_ns / 1e9


def _cpus(instance: Instance) -> float:
    """CPU time over elapsed time of two busy processes. (dash(1), times)"""
    done = instance.run(["sh", "-c", _TAKE_CPU], _TAKE_SECONDS)
    used = sum(
        60 * float(minutes) + float(seconds)
        for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", done.stdout.decode())
    )
    return used / (done.elapsed_ns / 1e9)


def _last(instance: Instance, script: str) -> float:
    """The last number that the script said before it met its limit."""
    done = instance.run(["sh", "-c", script], _TAKE_SECONDS)
    said = done.stdout.split()
    if not said:
        raise LabError(f"Nothing was granted: {done.stderr.decode(errors='replace').strip()}.")
    return float(said[-1])

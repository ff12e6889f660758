"""The work of a victim, and the noise of its neighbour. Both end by themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.errors import TargetFailed
from lab.network.isolated_network import PEER
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.base import CPUS_LIMIT

if TYPE_CHECKING:
    from lab.targets.base import CommandResult, Instance

NOISE_SECONDS = 6
_WORK_SECONDS = 120.0
_FIO = "fio --filename=/tmp/tonnage-fio --size=64M --ioengine=psync --direct=1"
_BUSY = "while :; do :; done"


@dataclass(frozen=True, slots=True)
class Pair:
    """A victim's fixed work and the noise beside it, both as shell scripts.

    `clock` names the clock that times the work: the payload's, or fio's for its transfers alone.
    """

    name: str
    work: str
    noise: str
    clock: Literal["payload", "fio"] = "payload"


def _many(count: int, script: str) -> str:
    return f"for _ in $(seq {count}); do {script} & done; wait"


PAIRS = (
    Pair(
        "cpu",
        "openssl enc -aes-256-cbc -pbkdf2 -iter 200000 -pass pass:tonnage -in /etc/hostname"
        " -out /dev/null",
        _many(4 * CPUS_LIMIT, f"sh -c '{_BUSY}'"),
    ),
    Pair(
        "memory",
        f"{PAYLOAD_IN_TREE} copy 32 16",
        _many(CPUS_LIMIT, f"{PAYLOAD_IN_TREE} copy 32 1000000"),
    ),
    # The processes of the fork bomb sleep: they use up process ids and kernel memory.
    Pair(
        "forks",
        f"{PAYLOAD_IN_TREE} spawn 100",
        f"while sleep {NOISE_SECONDS} & do :; done",
    ),
    Pair(
        "disk",
        f"{_FIO} --name=v --rw=randread --bs=4k --io_size=4M --output-format=json",
        f"{_FIO} --name=n --rw=randwrite --bs=256k --time_based --runtime={NOISE_SECONDS}",
        clock="fio",
    ),
)
# For instances on one bridge, with a peer that answers (lab.targets.peer_servers).
NETWORK = Pair(
    "network",
    f"{PAYLOAD_IN_TREE} ask {PEER} 4000",
    _many(CPUS_LIMIT, f"{PAYLOAD_IN_TREE} flood {PEER} {NOISE_SECONDS}"),
)


def work(instance: Instance, pair: Pair) -> float:
    """Return the seconds that the victim's work takes. Raise TargetFailed if it fails."""
    result = instance.run(["sh", "-c", pair.work], _WORK_SECONDS)
    if result.exit_code:
        reason = result.stderr.decode(errors="replace").strip() or f"exit code {result.exit_code}"
        raise TargetFailed(f"The victim's work ({pair.name}) failed: {reason}.")
    return result.elapsed_ns / 1e9 if pair.clock == "payload" else _transfer_seconds(result)


def make_noise(instance: Instance, pair: Pair) -> None:
    """Start the neighbour's noise in the background; it ends after NOISE_SECONDS."""
    timed = f'timeout -s KILL {NOISE_SECONDS} setsid sh -c "$0" >/dev/null 2>&1 &'
    instance.run(["sh", "-c", timed, pair.noise], _WORK_SECONDS, keep_children=True)


def _transfer_seconds(result: CommandResult) -> float:
    try:
        return float(json.loads(result.stdout)["jobs"][0]["read"]["runtime"]) / 1e3
    except (ValueError, LookupError) as error:
        raise TargetFailed(f"fio's JSON report can't be read: {error!r}.") from error

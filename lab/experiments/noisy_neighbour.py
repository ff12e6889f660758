"""What a victim does, and what a noisy neighbour does beside it. All of it ends by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError
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
    """A victim's fixed work and the noise beside it, both shell scripts.

    `clock`: the payload's around the work, or fio's around its transfers.
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
    # The bomb's processes sleep: what it takes is process ids and the kernel's memory.
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
# Of instances on one bridge, with a peer behind it that answers (lab.targets.peer_servers).
NETWORK = Pair(
    "network",
    f"{PAYLOAD_IN_TREE} ask {PEER} 4000",
    _many(CPUS_LIMIT, f"{PAYLOAD_IN_TREE} flood {PEER} {NOISE_SECONDS}"),
)


def work(instance: Instance, pair: Pair) -> float:
    """Seconds that the victim's work takes. Raises LabError if it fails."""
    done = instance.run(["sh", "-c", pair.work], _WORK_SECONDS)
    if done.exit_code:
        said = done.stderr.decode(errors="replace").strip()
        raise LabError(f"The victim's work ({pair.name}) failed: {said or done.exit_code}.")
    return done.elapsed_ns / 1e9 if pair.clock == "payload" else _transfer_seconds(done)


def make_noise(instance: Instance, pair: Pair) -> None:
    """Start the neighbour's noise, which goes on when this returns and ends after NOISE_SECONDS."""
    timed = f'timeout -s KILL {NOISE_SECONDS} setsid sh -c "$0" >/dev/null 2>&1 &'
    instance.run(["sh", "-c", timed, pair.noise], _WORK_SECONDS, leaving=True)


def _transfer_seconds(done: CommandResult) -> float:
    try:
        return float(json.loads(done.stdout)["jobs"][0]["read"]["runtime"]) / 1e3
    except (ValueError, LookupError) as error:
        raise LabError(f"fio's report can't be read: {error!r}.") from error

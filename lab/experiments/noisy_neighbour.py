"""The work of a victim, the noise of its neighbour, and the use of limits; all end by themselves.

On the common user land they are its programs, in shell scripts. An image may have no programs, so
there the payload itself works, makes noise and uses the limits; these figures are not comparable
with those of the common user land.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.errors import TargetFailed
from lab.network.isolated_network import PEER
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.base import CPUS_LIMIT

if TYPE_CHECKING:
    from lab.targets.base import CommandResult, Instance, Target

Words = tuple[str, ...]

NOISE_SECONDS = 6
_WORK_SECONDS = 120.0
_FIO = "fio --filename=/tmp/tonnage-fio --size=64M --ioengine=psync --direct=1"
_BUSY = "while :; do :; done"
_PAYLOAD = "/proc/self/exe"  # in an image: the agent, which executes it, is the payload
_MARK = "86399"  # seconds for which a process waits to be seen


@dataclass(frozen=True, slots=True)
class Pair:
    """A victim's fixed work and the noise beside it.

    `clock` names the clock that times the work: the payload's, that of fio for its transfers alone,
    or the work's own, which prints the seconds.
    """

    name: str
    work: Words
    noise: Words
    clock: Literal["payload", "fio", "own"] = "payload"


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands of the experiment; `network` is for instances on one bridge with a peer.

    `work` is fixed work in two processes. `be_seen` leaves a process, and `see` counts those of
    others. The others use as much as they get: two busy loops for two seconds, a buffer that is
    16 MiB larger each time, and one process after the other.
    """

    pairs: tuple[Pair, ...]
    network: Pair
    work: Words
    be_seen: Words
    see: Words
    take_cpu: Words
    take_memory: Words
    take_pids: Words


def _shell(script: str) -> Words:
    return "sh", "-c", script


def _background(script: str) -> Words:
    """Return the command that makes noise in the background for NOISE_SECONDS."""
    timed = f'timeout -s KILL {NOISE_SECONDS} setsid sh -c "$0" >/dev/null 2>&1 &'
    return "sh", "-c", timed, script


def _many(count: int, script: str) -> str:
    return f"for _ in $(seq {count}); do {script} & done; wait"


_OF_USERLAND = Programs(
    pairs=(
        Pair(
            "cpu",
            _shell(
                "openssl enc -aes-256-cbc -pbkdf2 -iter 200000 -pass pass:tonnage"
                " -in /etc/hostname -out /dev/null"
            ),
            _background(_many(4 * CPUS_LIMIT, f"sh -c '{_BUSY}'")),
        ),
        Pair(
            "memory",
            _shell(f"{PAYLOAD_IN_TREE} copy 32 16"),
            _background(_many(CPUS_LIMIT, f"{PAYLOAD_IN_TREE} copy 32 1000000")),
        ),
        # The processes of the fork bomb sleep: they use up process ids and kernel memory.
        Pair(
            "forks",
            _shell(f"{PAYLOAD_IN_TREE} spawn 100"),
            _background(f"while sleep {NOISE_SECONDS} & do :; done"),
        ),
        Pair(
            "disk",
            _shell(f"{_FIO} --name=v --rw=randread --bs=4k --io_size=4M --output-format=json"),
            _background(
                f"{_FIO} --name=n --rw=randwrite --bs=256k --time_based --runtime={NOISE_SECONDS}"
            ),
            clock="fio",
        ),
    ),
    network=Pair(
        "network",
        _shell(f"{PAYLOAD_IN_TREE} ask {PEER} 4000"),
        _background(_many(CPUS_LIMIT, f"{PAYLOAD_IN_TREE} flood {PEER} {NOISE_SECONDS}")),
    ),
    work=_shell(
        "for _ in 1 2; do openssl enc -aes-256-cbc -pbkdf2 -iter 400000 -pass pass:tonnage"
        " -in /etc/hostname -out /dev/null & done; wait"
    ),
    be_seen=_shell(f"sleep {_MARK} >/dev/null 2>&1 &"),
    # The brackets keep grep from finding its own command line.
    see=_shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^8639[9]$'; :"),
    # The shell prints the CPU time of its children.
    take_cpu=_shell("for _ in 1 2; do timeout 2 sh -c 'while :; do :; done' & done; wait; times"),
    take_memory=_shell(
        "for m in $(seq 16 16 512); do"
        " timeout -s KILL 5 dd if=/dev/zero of=/dev/null bs=${m}M count=1 2>/dev/null || break;"
        " echo $m; done"
    ),
    take_pids=_shell("for i in $(seq 200); do sleep 2 >/dev/null 2>&1 & echo $i; done"),
)


def _noise(kind: str, processes: int, *address: str) -> Words:
    return _PAYLOAD, "noise", kind, str(processes), str(NOISE_SECONDS), *address


_OF_PAYLOAD = Programs(
    pairs=(
        Pair("cpu", (_PAYLOAD, "compute", "100000000", "1"), _noise("cpu", 4 * CPUS_LIMIT)),
        Pair("memory", (_PAYLOAD, "copy", "32", "16"), _noise("memory", CPUS_LIMIT)),
        Pair("forks", (_PAYLOAD, "spawn", "100", "itself"), _noise("forks", 1)),
        Pair("disk", (_PAYLOAD, "disk", "1024"), _noise("disk", 1), clock="own"),
    ),
    network=Pair("network", (_PAYLOAD, "ask", PEER, "4000"), _noise("network", CPUS_LIMIT, PEER)),
    work=(_PAYLOAD, "compute", "200000000", "2"),
    be_seen=(_PAYLOAD, "noise", "sleep", "1", _MARK),
    see=(_PAYLOAD, "seen", _MARK),
    take_cpu=(_PAYLOAD, "burn", "2", "2"),
    take_memory=(_PAYLOAD, "fill", "memory"),
    take_pids=(_PAYLOAD, "fill", "processes"),
)


def programs(target: Target) -> Programs:
    """Return the commands for the instances of a target."""
    return _OF_PAYLOAD if target.settings.userland.application else _OF_USERLAND


def work(instance: Instance, pair: Pair) -> float:
    """Return the seconds that the victim's work takes. Raise TargetFailed if it fails."""
    result = instance.run(list(pair.work), _WORK_SECONDS)
    if result.exit_code:
        reason = result.stderr.decode(errors="replace").strip() or f"exit code {result.exit_code}"
        raise TargetFailed(f"The victim's work ({pair.name}) failed: {reason}.")
    if pair.clock == "fio":
        return _transfer_seconds(result)
    return float(result.stdout) if pair.clock == "own" else result.elapsed_ns / 1e9


def make_noise(instance: Instance, pair: Pair) -> None:
    """Start the neighbour's noise in the background; it ends after NOISE_SECONDS."""
    instance.run(list(pair.noise), _WORK_SECONDS, keep_children=True)


def cpu_seconds(output: bytes) -> float:
    """Return the CPU time that `take_cpu` printed, as `times` of a shell or in seconds."""
    text = output.decode()
    if "m" not in text:
        return float(text)
    return sum(
        60 * float(minutes) + float(seconds)
        for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", text)
    )


def _transfer_seconds(result: CommandResult) -> float:
    try:
        return float(json.loads(result.stdout)["jobs"][0]["read"]["runtime"]) / 1e3
    except (ValueError, LookupError) as error:
        raise TargetFailed(f"fio's JSON report can't be read: {error!r}.") from error

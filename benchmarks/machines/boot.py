"""Hangs at boot: many boots of one machine, each against a deadline.

    python -m benchmarks.machines.boot --boots 200 --busy 4 --out results/vm-boots/busy.json

`--busy` keeps that many processes at work meanwhile. `--bare` leaves out of the kernel's command
line what the target adds for emulation (`tsc_early_khz=`), to show its effect. For a boot that
hangs, the record has the addresses where the guest's CPU was: different addresses show a loop, one
address with HLT a wait for an interrupt that does not come.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import vms
from benchmarks import harness
from benchmarks.harness import Finding
from lab import targets
from lab.errors import StartFailed
from lab.host import facts
from lab.host.scratch import scratch_directory
from lab.targets.base import Settings
from lab.targets.machines.machine import Machine, MachineInstance
from lab.userland import build, kvm_probe

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLES = 5
_REGISTERS = re.compile(r"\b(?:RIP|EIP)=([0-9a-f]+)|\bHLT=(\d)")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes busy while the block runs."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def boot(target: Machine) -> tuple[float, list[str]]:
    """Return the seconds to the first instruction; or 0 and several samples of the guest's CPU."""
    with target.start() as instance:
        assert isinstance(instance, MachineInstance)
        try:
            reached_ns = instance.reached("first-instruction")
        except StartFailed:
            return 0.0, [cpu_position(instance) for _ in range(_SAMPLES)]
        assert reached_ns is not None
        return (reached_ns - instance.t0_ns) / 1e9, []


def cpu_position(instance: MachineInstance) -> str:
    """Return the guest CPU's instruction pointer and halt state."""
    time.sleep(0.2)
    if not isinstance(instance.domain, vms.Domain):
        return "unknown: the machine has no monitor"
    registers = _REGISTERS.findall(instance.domain.monitor.human_command("info registers"))
    return " ".join(address or f"HLT={halted}" for address, halted in registers)


def main() -> int:
    """Boot the machines, write the record, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", default="microvm")
    parser.add_argument("--boots", type=int, default=200)
    parser.add_argument("--busy", type=int, default=0, metavar="PROCESSES")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--deadline", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    options = parser.parse_args()
    land = build.build(harness.say)
    accelerator = kvm_probe.accelerator(lambda _: None)
    seconds: list[float] = []
    hangs: list[list[str]] = []
    load_before = os.getloadavg()
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        settings = Settings(land, scratch, accelerator, start_deadline_seconds=options.deadline)
        target = stack.enter_context(targets.find(options.target)(settings))
        assert isinstance(target, Machine)
        if options.bare:
            target.emulation_words = ""
        kernel = target.describe("any", scratch).boot
        assert isinstance(kernel, vms.DirectKernel)
        stack.enter_context(busy(options.busy))
        for _ in range(options.boots):
            elapsed, positions = boot(target)
            if positions:
                hangs.append(positions)
            else:
                seconds.append(elapsed)
    record = {
        "target": options.target,
        "accelerator": accelerator,
        "boots": options.boots,
        "hangs": len(hangs),
        "where": hangs,
        "deadline_seconds": options.deadline,
        "busy_processes": options.busy,
        "load": {"before": load_before, "after": os.getloadavg()},
        "command_line": kernel.command_line,
        "qemu": facts.version("qemu-system-x86_64"),
        "guest_kernel": land.kernel.name.removeprefix("vmlinuz-"),
        "host": {
            "kernel": platform.release(),
            "cpu": facts.cpu_model(),
            "cpus": facts.cpus(),
        },
        "seconds": [round(value, 3) for value in seconds],
    }
    harness.write_record(options.out, record)
    middle = f"median {statistics.median(seconds):.2f} s" if seconds else "no boot succeeded"
    counts = f"{options.target}: {len(hangs)} hangs in {options.boots} boots; {middle}"
    return harness.report(
        [
            Finding.at_most(counts, 0, met=not hangs, unit=" hangs"),
            *(Finding("  " + " | ".join(positions)) for positions in hangs),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

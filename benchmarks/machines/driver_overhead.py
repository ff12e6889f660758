"""Overhead of the driver beside QEMU: memory for each machine, and listing many with statistics.

    python -m benchmarks.machines.driver_overhead --machines 100

Microvms of 64 MiB without a disk are started one after another and left running, until the agent in
each has answered. Then the driver's own memory (its proportional set size, libvirt's event loop
included) is divided by their number, and all of them are asked for their statistics in one call.
Debian's cloud kernel boots in so little memory only if it is unpacked beforehand, with a frugal
command line, and with one port, its agent's: each port of a microvm takes 4 MiB of the guest.
"""

from __future__ import annotations

import argparse
import statistics as plain
import sys
import time
from collections import Counter
from pathlib import Path

import vms
from benchmarks import harness
from benchmarks.harness import Finding
from lab.userland import build
from vms.boot import kernel
from vms.boot.initramfs import build_frugal
from vms.operations import statistics
from vms.qemu import acceleration

WANTED_MIB, WANTED_SECONDS = 1.0, 2.0
MEMORY_MIB = 64
_TIMES = 5
_READY_SECONDS = 300.0


def driver_bytes() -> int:
    """Return the proportional set size of this process. (proc(5), smaps_rollup)"""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise LookupError("Pss")


def listing_seconds(connection: vms.Connection, count: int) -> float:
    """Return the time to list all machines with their statistics; exit unless all are running."""
    begin = time.monotonic()
    machines = statistics.all_machines(connection)
    elapsed = time.monotonic() - begin
    states = Counter(each.state for each in machines)
    if states != {"running": count}:
        raise SystemExit(f"{count} machines should be running: {dict(states)}")
    return elapsed


def measure(count: int) -> tuple[float, float]:
    """Return the driver's MiB for one more machine, and the median seconds of a listing."""
    land = build.build(harness.say)
    words = f"console=ttyS0 quiet loglevel=1 panic=-1 {acceleration.kernel_words()}"
    with (
        harness.quiet_host() as scratch,
        vms.Connection.open(scratch / "l-microvm", image_directories=(scratch,)) as connection,
    ):
        package = kernel.fetch(land.kernel.parent.parent)
        boot = build_frugal(scratch, land.payload, package, words)
        sizes, started = [], []
        for number in range(count):
            machine = vms.Machine(
                name=f"tonnage-many-{number}",
                vcpus=1,
                memory_mib=MEMORY_MIB,
                accelerator=vms.Accelerator.TCG,
                chipset="microvm",
                boot=boot,
                channels=("tonnage.agent",),
            )
            started.append(connection.start(machine))
            sizes.append(driver_bytes())
        for domain in started:
            domain.wait_for("ready", _READY_SECONDS)
        listings = [listing_seconds(connection, count) for _ in range(_TIMES)]
        warm = len(sizes) // 10  # the first machines load code and caches that all share
        each = (sizes[-1] - sizes[warm]) / (len(sizes) - 1 - warm)
        return each / 2**20, plain.median(listings)


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=100)
    options = parser.parse_args()
    each_mib, seconds = measure(options.machines)
    return harness.report(
        (
            Finding.at_most(
                f"{options.machines} microvms of {MEMORY_MIB} MiB; driver: {each_mib:.3f} MiB each",
                WANTED_MIB,
                met=each_mib <= WANTED_MIB,
                unit=" MiB",
            ),
            Finding.at_most(
                f"all listed with statistics in {seconds:.2f} s (median of {_TIMES})",
                WANTED_SECONDS,
                met=seconds <= WANTED_SECONDS,
                unit=" s",
            ),
        )
    )


if __name__ == "__main__":
    sys.exit(main())

"""What the driver takes beside QEMU, and how long many machines take to be listed with their stats.

    python -m benchmarks.machines.driver_overhead --machines 100

Microvms of 64 MiB without a disk are started one after another and are left running, until the
agent in each has answered; then the driver's own memory (its proportional set size, libvirt's event
loop included) is set against their number, and all of them are asked for their statistics in one
call. Debian's cloud kernel comes up in so little only if it is unpacked beforehand and told to be
frugal, and with one port, its agent's: each port of a microvm takes 4 MiB of the guest.
"""

from __future__ import annotations

import argparse
import statistics as plain
import sys
import time
from collections import Counter
from pathlib import Path

import vms
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.userland import build
from vms.boot import kernel
from vms.operations import statistics
from vms.qemu import acceleration

WANTED_MIB, WANTED_SECONDS = 1.0, 2.0
MEMORY_MIB = 64
_TIMES = 5
_READY_SECONDS = 300.0


def driver_bytes() -> int:
    """Proportional set size of this process. (proc(5), smaps_rollup)"""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise LookupError("Pss")


def listing_seconds(connection: vms.Connection, count: int) -> float:
    begin = time.monotonic()
    found = statistics.all_machines(connection)
    took = time.monotonic() - begin
    states = Counter(each.state for each in found)
    if states != {"running": count}:
        raise SystemExit(f"not all of {count} machines run: {dict(states)}")
    return took


def measure(count: int) -> tuple[float, float]:
    """MiB of the driver for one more machine, and the median of some listings in seconds."""
    land = build.build(lambda line: print(line, file=sys.stderr))
    words = f"console=ttyS0 quiet loglevel=1 panic=-1 {acceleration.kernel_words()}"
    with (
        measurement_lock(wait=True, tell=lambda line: print(line, file=sys.stderr)),
        scratch_directory() as scratch,
        vms.Connection.open(scratch / "l-microvm", image_directories=(scratch,)) as connection,
    ):
        found = kernel.fetch(land.kernel.parent.parent)
        boot = kernel.build_frugal(scratch, land.payload, found, words)
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
        taken = [listing_seconds(connection, count) for _ in range(_TIMES)]
        warm = len(sizes) // 10  # what is loaded with the first machines is no machine's
        each = (sizes[-1] - sizes[warm]) / (len(sizes) - 1 - warm)
        return each / 2**20, plain.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=100)
    options = parser.parse_args()
    each_mib, seconds = measure(options.machines)
    print(f"{options.machines} microvms of {MEMORY_MIB} MiB; driver: {each_mib:.3f} MiB for each")
    print(f"all listed with statistics in {seconds:.2f} s (median of {_TIMES})")
    met = each_mib <= WANTED_MIB and seconds <= WANTED_SECONDS
    print(f"wanted: at most {WANTED_MIB} MiB and {WANTED_SECONDS} s; {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

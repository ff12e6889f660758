"""What the driver takes beside QEMU, and how long many machines take to be listed with their stats.

    python -m benchmarks.vm_driver --machines 100

Small microvms are started one after another and are left running; then the driver's own memory (its
proportional set size, libvirt's event loop included) is set against their number, and all of them
are asked for their statistics in one call. A machine here has 96 MiB and no disk: in 64 MiB the
Debian cloud kernel does not unpack itself, and one that is unpacked beforehand ends for want of
memory before its init, as does the first at 72 on some CPUs, and at 80 one in a hundred.
"""

from __future__ import annotations

import argparse
import statistics as plain
import sys
import time
from collections import Counter
from pathlib import Path

import vms
from lab import userland
from lab.exclusive import measurement_lock, scratch_directory
from vms import accelerators, statistics

WANTED_MIB, WANTED_SECONDS = 1.0, 2.0
MEMORY_MIB = 96
_TIMES = 5


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
    land = userland.build(lambda line: print(line, file=sys.stderr))
    words = f"console=ttyS0 quiet loglevel=1 panic=-1 {accelerators.kernel_words()}"
    with (
        measurement_lock(wait=True, tell=lambda line: print(line, file=sys.stderr)),
        scratch_directory() as scratch,
        vms.Connection.open(scratch / "l-microvm", image_directories=(scratch,)) as connection,
    ):
        sizes = []
        for number in range(count):
            connection.start(
                vms.Machine(
                    name=f"tonnage-many-{number}",
                    vcpus=1,
                    memory_mib=MEMORY_MIB,
                    accelerator=vms.Accelerator.TCG,
                    chipset="microvm",
                    boot=vms.DirectKernel(land.kernel, land.initramfs, words),
                    channels=("tonnage.events", "tonnage.agent"),
                )
            )
            sizes.append(driver_bytes())
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

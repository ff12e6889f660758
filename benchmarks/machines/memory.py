"""What one more microvm of 96 MiB takes of the host, and how that can be made less.

    python -m benchmarks.machines.memory --machines 8 --out results/vm-memory/record.json

Each variant runs in a process of its own, one after the other, and starts its machines one by one:

- plain: as the target `microvm`, nothing merged, nothing given back;
- free-page-reporting: a balloon by which the guest tells what lies free, which QEMU gives back;
- ksm: the host's kernel merges pages that are alike, until nothing more is found;
- restored: clones of one saved machine, which map its memory privately;
- restored-ksm: those, merged as well.

The figure is the slope over their number (Theil-Sen) of the sum of their PSS, in which a shared
page is divided among those who share it, and of the host's MemAvailable. What the first machine
brings along for all (QEMU's code, the template's file in the page cache) is not in a slope.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import vms
from lab import targets
from lab.experiments.host_limits import available_memory_bytes
from lab.host import facts, kvm_probe
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.host.process_usage import memory
from lab.statistics.estimates import slope
from lab.targets.base import Allotment, Settings
from lab.targets.machines.machine import Machine, MicroMachine
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIANTS = ("plain", "free-page-reporting", "ksm", "restored", "restored-ksm")
WANTED = 0.6
# Debian's kernel, as packaged, hangs mute with 64 MiB, and panics for want of memory with 80.
_SIZE = Allotment(cpus=1, memory_bytes=96 << 20)
_KSM = Path("/sys/kernel/mm/ksm")
_KSM_SETTINGS = {"pages_to_scan": "20000", "sleep_millisecs": "5", "run": "1"}
_KSM_SECONDS = 60.0
_SETTLE_SECONDS = 2.0


class Reporting(MicroMachine):
    """`microvm` with a balloon."""

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """With free-page reporting."""
        plain = super().describe(name, disk, allotment)
        return dataclasses.replace(plain, balloon=vms.Balloon())


def target_of(variant: str) -> type[Machine]:
    """The target that a variant runs."""
    if variant == "free-page-reporting":
        return Reporting
    found = targets.find("microvm-restore" if variant.startswith("restored") else "microvm")
    assert issubclass(found, Machine)
    return found


def measure(variant: str, machines: int) -> dict[str, object]:
    """The points of one variant, and its slopes in bytes."""
    land = build.build(lambda line: print(line, file=sys.stderr))
    accelerator = kvm_probe.accelerator(lambda _: None)
    points: list[dict[str, int]] = []
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        target = stack.enter_context(target_of(variant)(Settings(land, scratch, accelerator)))
        for number in range(1, machines + 1):
            instance = stack.enter_context(target.start(_SIZE))
            instance.reached("ready")
            target.running.append(instance)
            time.sleep(_SETTLE_SECONDS)
            if variant.endswith("ksm"):
                await_merged()
            points.append(
                {
                    "running": number,
                    "pss": memory(pid for each in target.running for pid in each.pids()).pss,
                    "available": available_memory_bytes(),
                    "merged": merged_bytes(),
                }
            )
    running = [point["running"] for point in points]
    return {
        "accelerator": accelerator,
        "pss": slope(running, [point["pss"] for point in points]),
        "available": slope(running, [-point["available"] for point in points]),
        "points": points,
    }


@contextmanager
def merging(*, wanted: bool) -> Iterator[None]:
    """Have the kernel merge pages while the block runs, or none, whatever the host is set to.

    (Linux, admin-guide/mm/ksm.rst)
    """
    if not _KSM.exists():
        yield
        return
    before = {name: (_KSM / name).read_text() for name in _KSM_SETTINGS}
    try:
        for name, value in (_KSM_SETTINGS if wanted else {"run": "2"}).items():
            (_KSM / name).write_text(value)
        yield
    finally:
        (_KSM / "run").write_text("2")  # unmerge: what follows must not profit from it
        for name, value in before.items():
            (_KSM / name).write_text(value)


def merged_bytes() -> int:
    """What merging spares the whole host at the moment; 0 where the kernel has no KSM."""
    if not _KSM.exists():
        return 0
    return int((_KSM / "pages_sharing").read_text()) * os.sysconf("SC_PAGE_SIZE")


def await_merged() -> None:
    """Wait until two whole scans have found nothing that is worth a mention."""
    deadline = time.monotonic() + _KSM_SECONDS
    last, scans = -1.0, int((_KSM / "full_scans").read_text())
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if int((_KSM / "full_scans").read_text()) < scans + 2:
            continue
        shared = float((_KSM / "pages_sharing").read_text())
        # A page is merged only once two scans have found it unchanged.
        if last > 0 and abs(shared - last) <= 0.01 * last:
            return
        last, scans = shared, int((_KSM / "full_scans").read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=8)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options.variant, options.machines)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that merging is set back
    found = {}
    with measurement_lock():
        for variant in options.variants.split(","):
            if variant.endswith("ksm") and not _KSM.exists():
                print(f"{variant}: left out, this kernel has no KSM", file=sys.stderr)
                continue
            again = [sys.executable, "-m", "benchmarks.machines.memory", "--variant", variant]
            with merging(wanted=variant.endswith("ksm")):
                done = subprocess.run(
                    [*again, "--machines", str(options.machines)],
                    stdout=subprocess.PIPE,
                    check=True,
                )
            found[variant] = json.loads(done.stdout)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        host = {"cpu": facts.cpu_model(), "qemu": facts.version("qemu-system-x86_64")}
        record = {"machines": options.machines, "host": host, "variants": found}
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    plain = found["plain"]["pss"]
    for variant, figures in found.items():
        print(
            f"{variant:20} {figures['pss'] / 2**20:6.1f} MiB PSS each"
            f"  {figures['available'] / 2**20:6.1f} MiB of MemAvailable each"
            f"  {figures['pss'] / plain:.2f} × plain"
        )
    best = min(figures["pss"] for figures in found.values()) / plain
    print(f"wanted: the best at most {WANTED} × plain; {'met' if best <= WANTED else 'missed'}")
    return 0 if best <= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

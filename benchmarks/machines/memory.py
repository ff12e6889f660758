"""Memory of one more microvm of 96 MiB, and ways to make it less.

    python -m benchmarks.machines.memory --machines 8 --out results/vm-memory/record.json

Each variant runs in a process of its own, one after the other, and starts its machines one by one:

- plain: the target `microvm`, nothing merged, nothing given back;
- free-page-reporting: a balloon by which the guest reports free pages, which QEMU gives back;
- ksm: the host's kernel merges equal pages, until it finds no more;
- restored: clones of one saved machine, which map its memory privately;
- restored-ksm: the same clones, merged as well.

The figure is the slope (Theil-Sen) over their number of the sum of their PSS, in which a shared
page is divided among the processes that share it, and of the host's MemAvailable. Memory that the
first machine brings for all (QEMU's code, the template's file in the page cache) is not in a slope.
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
from benchmarks import harness
from benchmarks.harness import Finding
from lab import targets
from lab.experiments.host_limits import available_memory_bytes
from lab.host import facts
from lab.host.measurement_lock import measurement_lock
from lab.host.process_usage import memory
from lab.host.scratch import scratch_directory
from lab.statistics.estimates import slope
from lab.targets.base import Allotment, Settings
from lab.targets.machines.machine import Machine, MicroMachine
from lab.userland import build, kvm_probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIANTS = ("plain", "free-page-reporting", "ksm", "restored", "restored-ksm")
WANTED = 0.6
# Debian's kernel, as packaged, hangs silently with 64 MiB, and panics with 80: out of memory.
_SIZE = Allotment(cpus=1, memory_bytes=96 << 20)
_KSM = Path("/sys/kernel/mm/ksm")
_KSM_SETTINGS = {"pages_to_scan": "20000", "sleep_millisecs": "5", "run": "1"}
_KSM_SECONDS = 60.0
_SETTLE_SECONDS = 2.0


class Reporting(MicroMachine):
    """`microvm` with a balloon."""

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """Return the plain machine with free-page reporting."""
        plain = super().describe(name, disk, allotment)
        return dataclasses.replace(plain, balloon=vms.Balloon())


def target_of(variant: str) -> type[Machine]:
    """Return the target that a variant runs."""
    if variant == "free-page-reporting":
        return Reporting
    target = targets.find("microvm-restore" if variant.startswith("restored") else "microvm")
    assert issubclass(target, Machine)
    return target


def measure(variant: str, machines: int) -> dict[str, object]:
    """Return the points of one variant, and its slopes in bytes."""
    land = build.build(harness.say)
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
    """Switch page merging on or off for the block, and restore the host's settings afterwards.

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
        (_KSM / "run").write_text("2")  # unmerge: the next variant must not profit from it
        for name, value in before.items():
            (_KSM / name).write_text(value)


def merged_bytes() -> int:
    """Return the bytes that merging saves the whole host now; 0 if the kernel has no KSM."""
    if not _KSM.exists():
        return 0
    return int((_KSM / "pages_sharing").read_text()) * os.sysconf("SC_PAGE_SIZE")


def await_merged() -> None:
    """Wait until two whole scans have merged less than 1 % more."""
    deadline = time.monotonic() + _KSM_SECONDS
    last, scans = -1.0, int((_KSM / "full_scans").read_text())
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if int((_KSM / "full_scans").read_text()) < scans + 2:
            continue
        shared = float((_KSM / "pages_sharing").read_text())
        # The kernel merges a page only after two scans have found it unchanged.
        if last > 0 and abs(shared - last) <= 0.01 * last:
            return
        last, scans = shared, int((_KSM / "full_scans").read_text())


def findings(variants: Mapping[str, Mapping[str, float]]) -> Iterator[Finding]:
    """Yield each variant's slopes, and the best against the bound."""
    plain = variants["plain"]["pss"]
    for variant, figures in variants.items():
        yield Finding(
            f"{variant:20} {figures['pss'] / 2**20:6.1f} MiB PSS each"
            f"  {figures['available'] / 2**20:6.1f} MiB of MemAvailable each"
            f"  {figures['pss'] / plain:.2f} × plain"
        )
    best = min(figures["pss"] for figures in variants.values()) / plain
    yield Finding.at_most(
        f"the best variant: {best:.2f} × plain", WANTED, met=best <= WANTED, unit=" ×"
    )


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=8)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options.variant, options.machines)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # restores the merging
    variants = {}
    with measurement_lock(wait=True, progress=harness.say):
        for variant in options.variants.split(","):
            if variant.endswith("ksm") and not _KSM.exists():
                harness.say(f"{variant}: left out, this kernel has no KSM")
                continue
            again = [sys.executable, "-m", "benchmarks.machines.memory", "--variant", variant]
            with merging(wanted=variant.endswith("ksm")):
                result = subprocess.run(
                    [*again, "--machines", str(options.machines)],
                    stdout=subprocess.PIPE,
                    check=True,
                )
            variants[variant] = json.loads(result.stdout)
    host = {"cpu": facts.cpu_model(), "qemu": facts.version("qemu-system-x86_64")}
    record = {"machines": options.machines, "host": host, "variants": variants}
    harness.write_record(options.out, record)
    return harness.report(findings(variants))


if __name__ == "__main__":
    sys.exit(main())

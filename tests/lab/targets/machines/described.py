"""The description of a machine, for tests of command lines."""

from __future__ import annotations

from pathlib import Path

import vms

MACHINE = vms.Machine(
    name="tonnage-box-1-0",
    vcpus=2,
    memory_mib=96,
    accelerator=vms.Accelerator.TCG,
    chipset="microvm",
    boot=vms.DirectKernel(Path("/k"), Path("/i"), "quiet TONNAGE_ROOT=/dev/vda"),
    disks=(vms.Disk(Path("/d")),),
    channels=("tonnage.events", "tonnage.agent"),
)

"""Boot a machine in an embedded libvirt, and run a command in it.

    sudo .venv/bin/tonnage vm build
    sudo .venv/bin/python examples/boot_machine.py [kvm]

Without `kvm` the machine is emulated. The libvirt, the machine and its disk end with the program.
"""

import sys

from vms import Accelerator, Connection, DirectKernel, Disk, Machine
from vms.connection.process_root import own_root
from vms.qemu import acceleration
from vms.storage import disks
from vms.storage.image_store import Store

accelerator = Accelerator(sys.argv[1] if len(sys.argv) > 1 else "tcg")
image = Store().find("debian")
assert image.kernel is not None and image.initrd is not None
words = acceleration.kernel_words() if accelerator == Accelerator.TCG else ""
with own_root() as root, Connection.open(root) as connection:
    disks.clone(image.disk, root / "disk.qcow2")
    machine = Machine(
        name="example",
        vcpus=1,
        memory_mib=512,
        accelerator=accelerator,
        chipset="q35",
        boot=DirectKernel(image.kernel, image.initrd, f"{image.command_line} {words}".strip()),
        disks=(Disk(root / "disk.qcow2"),),
        channels=("tonnage.events", "tonnage.agent"),
    )
    with connection.start(machine) as domain:
        domain.wait_for("ready", timeout_seconds=300)
        result = domain.inside.run(["uname", "-sr"], timeout_seconds=60)
        print(domain.name, "runs", result.stdout.decode().strip())

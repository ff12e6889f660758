"""The targets by name. Each module is imported on use, so that a worker loads only its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lab import plugins
from lab.errors import NotFound

if TYPE_CHECKING:
    from lab.targets.base import Target

_CLASSES = {
    "native": "lab.targets.native:Native",
    "container": "lab.targets.containers.own_runtime:OurContainer",
    "vm": "lab.targets.machines.machine:FullMachine",
    "vm-tuned": "lab.targets.machines.tuned:TunedMachine",
    "microvm": "lab.targets.machines.machine:MicroMachine",
    "vm-restore": "lab.targets.machines.restored:RestoredFullMachine",
    "microvm-restore": "lab.targets.machines.restored:RestoredMicroMachine",
    "qemu": "lab.targets.machines.qemu:FullQemu",
    "qemu-microvm": "lab.targets.machines.qemu:MicroQemu",
    "virt-install": "lab.targets.machines.virt_install:VirtInstall",
    "uml": "lab.targets.machines.uml:UserModeLinux",
    "firecracker": "lab.targets.machines.vsock_vmms:Firecracker",
    "cloud-hypervisor": "lab.targets.machines.vsock_vmms:CloudHypervisor",
    "crun": "lab.targets.containers.oci:Crun",
    "runc": "lab.targets.containers.oci:Runc",
    "podman": "lab.targets.containers.podman:Podman",
    "docker": "lab.targets.containers.docker:Docker",
    **plugins.addresses("tonnage.targets"),
}
NAMES = tuple(_CLASSES)
DEFAULT = ("native", "container", "vm", "microvm")
# The same machines, started in other ways.
VARIANTS = ("vm-restore", "microvm-restore", "qemu", "qemu-microvm", "virt-install")
VMMS = ("uml", "firecracker", "cloud-hypervisor")  # machines by other VMMs
TUNED = ("vm-tuned",)  # the same machine, configured for performance
FULL_ONLY = (*VARIANTS, *TUNED, *VMMS)  # only in the full profile, or if the user names them
MACHINES = ("vm", "microvm", *VARIANTS, *TUNED)  # by QEMU, which emulates them without KVM
PEERS = ("crun", "runc", "podman", "docker")


def find(name: str) -> type[Target]:
    """Return the class of the target with that name. Raise NotFound."""
    if name not in _CLASSES:
        raise NotFound(f"There is no target {name!r}; choose from {', '.join(NAMES)}.")
    module, _, cls = _CLASSES[name].partition(":")
    target: type[Target] = getattr(import_module(module), cls)
    return target

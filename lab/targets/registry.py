"""The targets by name. Nothing is imported until it is asked for: a worker loads only its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lab import plugins
from lab.errors import LabError

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
# Other ways to the same machines.
VARIANTS = ("vm-restore", "microvm-restore", "qemu", "qemu-microvm", "virt-install")
VMMS = ("uml", "firecracker", "cloud-hypervisor")  # other machines
TUNED = ("vm-tuned",)  # the same machine, set up to perform: of performance alone
FULL_ONLY = (*VARIANTS, *TUNED, *VMMS)  # in the full profile, or when they are named
MACHINES = (
    "vm",
    "microvm",
    *VARIANTS,
    *TUNED,
)  # what QEMU runs, and emulates where KVM does not work
PEERS = ("crun", "runc", "podman", "docker")


def find(name: str) -> type[Target]:
    """The target's class.

    Raises LabError for a name that is no target's.
    """
    if name not in _CLASSES:
        raise LabError(f"There is no target {name!r}; there are {', '.join(NAMES)}.")
    module, _, cls = _CLASSES[name].partition(":")
    target: type[Target] = getattr(import_module(module), cls)
    return target

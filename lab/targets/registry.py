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
    "container": "lab.targets.container:OurContainer",
    "vm": "lab.targets.machine:FullMachine",
    "vm-tuned": "lab.targets.tuned:TunedMachine",
    "microvm": "lab.targets.machine:MicroMachine",
    "vm-restore": "lab.targets.restored:RestoredFullMachine",
    "microvm-restore": "lab.targets.restored:RestoredMicroMachine",
    "qemu": "lab.targets.qemu:FullQemu",
    "qemu-microvm": "lab.targets.qemu:MicroQemu",
    "virt-install": "lab.targets.virt_install:VirtInstall",
    "uml": "lab.targets.uml:UserModeLinux",
    "firecracker": "lab.targets.vsocked:Firecracker",
    "cloud-hypervisor": "lab.targets.vsocked:CloudHypervisor",
    "crun": "lab.targets.oci:Crun",
    "runc": "lab.targets.oci:Runc",
    "podman": "lab.targets.podman:Podman",
    "docker": "lab.targets.docker:Docker",
    **plugins.found("tonnage.targets"),
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

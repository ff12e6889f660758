"""The targets by name. Each module is imported on use, so that a worker loads only its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lab import plugins
from lab.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    "lxc": "lab.targets.containers.lxc:Lxc",
    "lxc-dir": "lab.targets.containers.lxc:LxcDirectory",
    **plugins.addresses("tonnage.targets"),
}
NAMES = tuple(_CLASSES)
DEFAULT = ("native", "container", "vm", "microvm")
# The same machines, started in other ways.
VARIANTS = ("vm-restore", "microvm-restore", "qemu", "qemu-microvm", "virt-install")
VMMS = ("uml", "firecracker", "cloud-hypervisor")  # machines by other VMMs
TUNED = ("vm-tuned",)  # the same machine, configured for performance
OTHER_ROOTS = ("lxc-dir",)  # the same container, on another sort of root file system
# Only in the full profile, or if the user names them.
FULL_ONLY = (*VARIANTS, *TUNED, *VMMS, *OTHER_ROOTS)
MACHINES = ("vm", "microvm", *VARIANTS, *TUNED)  # by QEMU, which emulates them without KVM
PEERS = ("crun", "runc", "podman", "docker", "lxc", *OTHER_ROOTS)


def find(name: str, runtimes: Mapping[str, Path] | None = None) -> type[Target]:
    """Return the class of the target with that name. Raise NotFound.

    `runtimes` are the paths of the OCI runtimes that the user named.
    """
    if runtimes and name in runtimes:
        from lab.targets.containers import oci

        return oci.named(name, runtimes[name])
    if name not in _CLASSES:
        known = ", ".join((*NAMES, *(runtimes or ())))
        raise NotFound(f"There is no target {name!r}; choose from {known}.")
    module, _, cls = _CLASSES[name].partition(":")
    target: type[Target] = getattr(import_module(module), cls)
    return target

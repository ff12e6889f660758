"""A libvirt driver: one machine's life, its disks, its kernel, and what is said inside it."""

from vms.connection.connection import Connection
from vms.connection.embedded import clean
from vms.description import (
    Accelerator,
    Balloon,
    Cdrom,
    Cpu,
    DirectKernel,
    Disk,
    Firmware,
    Forward,
    HostBridge,
    LibvirtNetwork,
    Machine,
    Memory,
    Rng,
    Share,
    Topology,
    UserNetwork,
    Vsock,
    Watchdog,
)
from vms.domain.domain import Domain
from vms.errors import BootTimeout, MachineError
from vms.guest.serial_lines import LineReader
from vms.operations.templates import Template

__all__ = [
    "Accelerator",
    "Balloon",
    "BootTimeout",
    "Cdrom",
    "Connection",
    "Cpu",
    "DirectKernel",
    "Disk",
    "Domain",
    "Firmware",
    "Forward",
    "HostBridge",
    "LibvirtNetwork",
    "LineReader",
    "Machine",
    "MachineError",
    "Memory",
    "Rng",
    "Share",
    "Template",
    "Topology",
    "UserNetwork",
    "Vsock",
    "Watchdog",
    "clean",
]

"""A libvirt driver: one machine's life, its disks, its kernel, and what is said inside it."""

from vms.boot import LineReader
from vms.connection import Connection, clean
from vms.devices import Accelerator, DirectKernel, Disk, Machine, UserNetwork
from vms.domain import Domain
from vms.errors import BootTimeout, MachineError

__all__ = [
    "Accelerator",
    "BootTimeout",
    "Connection",
    "DirectKernel",
    "Disk",
    "Domain",
    "LineReader",
    "Machine",
    "MachineError",
    "UserNetwork",
    "clean",
]

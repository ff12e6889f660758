"""Typed descriptions of machines, one subject a file, and their domain XML."""

from vms.description.boot_source import DirectKernel, Firmware
from vms.description.cpu import Accelerator, Cpu, Topology
from vms.description.devices.bus_address import Chipset
from vms.description.devices.disk import Cdrom, Disk
from vms.description.devices.filesystem import Share
from vms.description.devices.network import (
    Forward,
    HostBridge,
    LibvirtNetwork,
    Network,
    UserNetwork,
)
from vms.description.devices.rng import Rng
from vms.description.devices.vsock import Vsock
from vms.description.devices.watchdog import Watchdog
from vms.description.domain_xml import CONSOLE, NVRAM, domain_xml
from vms.description.machine import Machine
from vms.description.memory import Balloon, Memory

__all__ = [
    "CONSOLE",
    "NVRAM",
    "Accelerator",
    "Balloon",
    "Cdrom",
    "Chipset",
    "Cpu",
    "DirectKernel",
    "Disk",
    "Firmware",
    "Forward",
    "HostBridge",
    "LibvirtNetwork",
    "Machine",
    "Memory",
    "Network",
    "Rng",
    "Share",
    "Topology",
    "UserNetwork",
    "Vsock",
    "Watchdog",
    "domain_xml",
]

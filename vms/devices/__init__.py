"""What a machine is made of: typed descriptions, one subject a file, and their domain XML."""

from vms.devices.boot import DirectKernel, Firmware
from vms.devices.cpu import Accelerator, Cpu, Topology
from vms.devices.machine import CONSOLE, NVRAM, Machine, domain_xml
from vms.devices.memory import Balloon, Memory
from vms.devices.network import Forward, HostBridge, LibvirtNetwork, Network, UserNetwork
from vms.devices.place import Chipset
from vms.devices.rng import Rng
from vms.devices.share import Share
from vms.devices.storage import Cdrom, Disk
from vms.devices.vsock import Vsock
from vms.devices.watchdog import Watchdog

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

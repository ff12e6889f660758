"""Libvirt driver: describe, start and control machines with their disks, kernels and guests.

Names are imported when they are first used, so that a module of this package that needs no libvirt
does not load it.
"""

import os
from typing import TYPE_CHECKING

# libvirt reads this when it is loaded. Its errors are raised as exceptions, so the log is dropped.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")

if TYPE_CHECKING:
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
    from vms.errors import (
        AlreadyExists,
        BootTimeout,
        GuestError,
        InUse,
        InvalidDescription,
        InvalidImage,
        InvalidState,
        MachineError,
        NotFound,
        PermissionDenied,
        TimedOut,
        Unavailable,
    )
    from vms.guest.serial_lines import LineReader
    from vms.operations.templates import Template
else:
    from vms.lazy import attributes

    __getattr__ = attributes(
        __name__,
        {
            "Accelerator": "description",
            "AlreadyExists": "errors",
            "Balloon": "description",
            "BootTimeout": "errors",
            "Cdrom": "description",
            "Connection": "connection.connection",
            "Cpu": "description",
            "DirectKernel": "description",
            "Disk": "description",
            "Domain": "domain.domain",
            "Firmware": "description",
            "Forward": "description",
            "GuestError": "errors",
            "HostBridge": "description",
            "InUse": "errors",
            "InvalidDescription": "errors",
            "InvalidImage": "errors",
            "InvalidState": "errors",
            "LibvirtNetwork": "description",
            "LineReader": "guest.serial_lines",
            "Machine": "description",
            "MachineError": "errors",
            "Memory": "description",
            "NotFound": "errors",
            "PermissionDenied": "errors",
            "Rng": "description",
            "Share": "description",
            "Template": "operations.templates",
            "TimedOut": "errors",
            "Topology": "description",
            "Unavailable": "errors",
            "UserNetwork": "description",
            "Vsock": "description",
            "Watchdog": "description",
            "clean": "connection.embedded",
        },
    )

__all__ = [
    "Accelerator",
    "AlreadyExists",
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
    "GuestError",
    "HostBridge",
    "InUse",
    "InvalidDescription",
    "InvalidImage",
    "InvalidState",
    "LibvirtNetwork",
    "LineReader",
    "Machine",
    "MachineError",
    "Memory",
    "NotFound",
    "PermissionDenied",
    "Rng",
    "Share",
    "Template",
    "TimedOut",
    "Topology",
    "Unavailable",
    "UserNetwork",
    "Vsock",
    "Watchdog",
    "clean",
]

"""Port forwards of QEMU's user-mode network (slirp), made through a QEMU monitor.

libvirt itself forwards ports with passt only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libvirt_qemu

from vms.errors import InUse, InvalidDescription
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from vms.description import Machine


def forward(machine: Machine, human_command: Callable[[str], str]) -> None:
    """Add a running machine's port forwards by a monitor for people. Raise InUse. (hostfwd_add)"""
    for card, network in machine.forwards():
        for port in network.forwards:
            rule = f"{port.protocol}:{port.address}:{port.host}-:{port.guest}"
            output = human_command(f"hostfwd_add hostnet{card} {rule}")
            if output.strip():
                raise InUse(
                    f"Can't forward port {port.host} of {port.address} to {machine.name}: the port"
                    " is in use, or reserved; choose another port."
                )


def forward_through_libvirt(machine: Machine, handle: Any) -> None:
    """Add a running machine's port forwards by libvirt's monitor. Raise MachineError."""

    def human_command(line: str) -> str:
        flags = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        return str(libvirt_qemu.qemuMonitorCommand(handle, line, flags))

    with translate_errors(f"Can't forward ports to {machine.name}"):
        forward(machine, human_command)


def refuse_kept(machine: Machine) -> None:
    """Raise InvalidDescription for forwards that nothing would add at a later start."""
    for _, network in machine.forwards():
        ports = ", ".join(str(port.host) for port in network.forwards)
        raise InvalidDescription(
            f"{machine.name}: networks has port forwards ({ports}), which libvirt can't add to a"
            " kept machine's user-mode network: use a libvirt network (--network net:NAME), or"
            " --network passt where libvirt was built with it, or start the machine by run."
        )

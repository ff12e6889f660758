"""Port forwards of the user-mode network, which QEMU's monitor is asked for.

libvirt knows those of passt alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vms.description import Machine


def make(machine: Machine, say: Callable[[str], str]) -> None:
    """Have QEMU make those of a machine that runs. Raises MachineError. (hostfwd_add)"""
    for card, network in machine.forwards():
        for forward in network.forwards:
            said = say(
                f"hostfwd_add hostnet{card} {forward.protocol}:{forward.address}:{forward.host}"
                f"-:{forward.guest}"
            )
            if said.strip():
                raise MachineError(
                    f"Can't forward port {forward.host} of {forward.address} to {machine.name}: it"
                    " is in use, or not to be had; choose another one."
                )


def refuse_kept(machine: Machine) -> None:
    """Raise MachineError for forwards that whoever starts the machine next would not make."""
    for _, network in machine.forwards():
        ports = ", ".join(str(forward.host) for forward in network.forwards)
        raise MachineError(
            f"{machine.name} is kept by libvirt, which makes no port forwards ({ports}) of QEMU's"
            " user network: put it on a network of libvirt's (--network net:NAME), use --network"
            " passt where libvirt was built with it, or run."
        )

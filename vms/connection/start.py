"""Start of a transient machine, with its ports connected before its first instruction.

With the embedded libvirt the guest runs before libvirt has completed the start
(`vms.qemu.early_resume`). A daemon starts the machine paused, and it is resumed once connected.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libvirt

from vms.description import NVRAM, domain_xml
from vms.domain import port_forwarding
from vms.domain.domain import Domain, Place
from vms.domain.ports import Ports, listening_sockets
from vms.libvirt_errors import translate_errors
from vms.qemu.early_resume import in_background
from vms.qemu.huge_pages import without_huge_pages
from vms.qemu.qmp import Listener
from vms.qemu.reaper import adopting_qemu_of
from vms.qemu.termination import kill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vms.description import Machine
    from vms.qemu.early_resume import Origin
    from vms.qemu.qmp import Monitor


@dataclass(frozen=True, slots=True)
class Launch:
    """A machine to start, and where to start it.

    `connection` is libvirt's. `paths` has the sockets of the machine's ports and the file of its
    firmware's variables; libvirt chooses those that are missing. `broken_features` are CPU features
    that the host's KVM fails on. `on_running` is called once the guest runs, by the embedded
    libvirt's start in another thread.
    """

    connection: Any
    place: Place
    machine: Machine
    paths: Mapping[str, Path]
    monitor_path: Path
    broken_features: Sequence[str]
    on_running: Callable[[Ports], object]

    @property
    def is_embedded(self) -> bool:
        """True if the machine's libvirt is embedded in this process."""
        return self.place.embedded_root is not None


def start(launch: Launch, origin: Origin | None) -> Domain:
    """Start a transient machine from a cold boot, or from `origin` where libvirt is embedded.

    Raise MachineError, and then leave nothing behind.
    """
    with ExitStack() as undo:
        for path in launch.paths.values():
            undo.callback(path.unlink, missing_ok=True)
        attempt = _Attempt(launch)
        undo.callback(attempt.undo)
        with (
            translate_errors(f"Can't start {launch.machine.name}"),
            adopting_qemu_of(embedded=launch.is_embedded),
        ):
            if launch.is_embedded:
                attempt.start_early(origin)
            else:
                attempt.start_paused()
        domain = attempt.domain()
        domain.reap()
        undo.pop_all()
    return domain


class _Attempt:
    """A start under way, and what it has made so far."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        sockets = {name: path for name, path in launch.paths.items() if name != NVRAM}
        self._ports = Ports(launch.machine.name, sockets, launch.place.host)
        self._monitor: Monitor | None = None
        self._handle: Any = None

    def domain(self) -> Domain:
        """Return the machine, once libvirt has made its handle."""
        return Domain(
            self._handle,
            self._launch.place,
            self._ports,
            machine=self._launch.machine,
            monitor=self._monitor,
            own_files=tuple(self._launch.paths.values()),
        )

    def start_early(self, origin: Origin | None) -> None:
        """Start the machine, and resume it in another thread before libvirt does."""
        machine = self._launch.machine
        with Listener(self._launch.monitor_path) as listener:

            def resume() -> None:
                monitor = self._monitor = listener.accept()
                self._ports.connect()
                if origin:
                    origin.load(monitor)
                port_forwarding.forward(machine, monitor.human_command)
                monitor.execute("cont")
                self._launch.on_running(self._ports)

            of_origin = origin.qemu_arguments() if origin else ()
            xml = self._xml((*listener.qemu_arguments(), *machine.qemu_arguments(), *of_origin))
            with in_background(resume, listener.give_up):
                self._create(xml)

    def start_paused(self) -> None:
        """Start the machine paused, connect to it, and resume it."""
        self._create(self._xml(()), libvirt.VIR_DOMAIN_START_PAUSED)
        self._ports.handle = self._handle
        self._ports.sockets = {**listening_sockets(self._handle), **self._ports.sockets}
        self._ports.connect()
        domain = self.domain()
        domain.forward(self._launch.machine)
        domain.resume()
        self._launch.on_running(self._ports)

    def undo(self) -> None:
        """Destroy the machine, or end a QEMU that libvirt could not make a machine of."""
        if self._handle:
            self.domain().destroy()
            return
        self._ports.disconnect()
        if self._monitor:
            self._monitor.close()
        with ExitStack() as stack:
            if pid := self._launch.place.qemu_pid(self._launch.machine.name):
                kill(pid, stack)

    def _xml(self, qemu_arguments: Sequence[str]) -> str:
        launch = self._launch
        return domain_xml(launch.machine, launch.paths, launch.broken_features, qemu_arguments)

    def _create(self, xml: str, flags: int = 0) -> None:
        huge_pages = self._launch.machine.memory.transparent_huge_pages
        with nullcontext() if huge_pages else without_huge_pages():
            self._handle = self._launch.connection.createXML(xml, flags)

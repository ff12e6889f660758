"""The life of a machine that libvirt has: start, suspend, save, shut down, destroy."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from xml.etree import ElementTree as ET

import libvirt

from vms.description import names
from vms.domain import port_forwarding
from vms.domain.events import Events
from vms.domain.ports import Ports, listening_sockets
from vms.domain.states import STATES, State
from vms.errors import InvalidState, MachineError, TimedOut
from vms.hosts import HERE, Host
from vms.libvirt_errors import MachineGone, ask, translate_errors
from vms.qemu.early_resume import in_background
from vms.qemu.qmp import Listener
from vms.qemu.reaper import adopting_qemu_of, reap_when_ended
from vms.qemu.termination import kill

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from vms.description import Machine
    from vms.domain.ports import Milestone
    from vms.guest.interface import Inside
    from vms.guest.serial_lines import LineReader
    from vms.guest.tonnage_agent import Agent
    from vms.qemu.qmp import Monitor

Ended = Literal["acpi", "agent", "force"]
_ACPI_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """The libvirt that has a machine: its host, its root if embedded, and its image directories.

    Backing files of disks may only be in the image directories.
    """

    host: Host = HERE
    embedded_root: Path | None = None
    image_directories: tuple[Path, ...] = ()

    def qemu_pid(self, name: str) -> int:
        """Return the process of a machine's QEMU, or 0 if none of an embedded libvirt runs it."""
        if self.embedded_root:
            with suppress(OSError, ValueError):
                return int((self.embedded_root / f"run/qemu/{name}.pid").read_text())
        return 0


class Domain:
    """A machine that libvirt has; a context manager that destroys it.

    `machine` is its description if this process started it. `own_files` are removed with it.
    """

    def __init__(
        self,
        handle: Any,
        place: Place,
        ports: Ports,
        *,
        machine: Machine | None = None,
        monitor: Monitor | None = None,
        own_files: tuple[Path, ...] = (),
    ) -> None:
        self.name = ports.machine
        self.ports = ports
        self.handle = handle
        self.machine = machine
        self.host = place.host
        self.image_directories = place.image_directories
        self.on_gone: Callable[[], object] = lambda: None
        self._place = place
        self._monitor = monitor
        self._own_files = own_files
        self._destroyed = False

    @classmethod
    def of(cls, handle: Any, place: Place) -> Self:
        """Return the machine of a handle, with the ports that its XML describes."""
        ports = Ports(handle.name(), listening_sockets(handle), place.host)
        return cls(handle, place, ports)

    # ---- identity and state

    @property
    def handle(self) -> Any:
        """libvirt's handle of the machine."""
        return self.ports.handle

    @handle.setter
    def handle(self, handle: Any) -> None:
        self.ports.handle = handle

    @property
    def vmm_pid(self) -> int:
        """The process of its QEMU. Raise InvalidState if no embedded libvirt runs the machine."""
        if not (pid := self._place.qemu_pid(self.name)):
            raise InvalidState(f"{self.name} is not run by the libvirt embedded in this process.")
        return pid

    @property
    def monitor(self) -> Monitor:
        """Our own monitor of its QEMU. Raise InvalidState unless this process started it."""
        if self._monitor is None:
            raise InvalidState(f"{self.name} has no monitor of this process.")
        return self._monitor

    @property
    def is_running(self) -> bool:
        """True if libvirt runs a QEMU for the machine. Raise MachineError if libvirt is away.

        A lost libvirt says nothing about its machines, which run on without it.
        """
        with translate_errors(f"Can't tell if {self.name} runs"), suppress(MachineGone):
            return bool(ask(self.handle.isActive))
        return False

    @property
    def state(self) -> State:
        """The state, by libvirt's name. Raise NotFound if libvirt no longer has the machine."""
        with translate_errors(f"Can't read the state of {self.name}"):
            state, _ = self.handle.state()
        return STATES.get(state, "unknown")

    def xml(self, *, inactive: bool = False) -> ET.Element:
        """Return its XML as it runs or, with `inactive`, as it is defined. Raise MachineError."""
        flags = libvirt.VIR_DOMAIN_XML_SECURE | (inactive and libvirt.VIR_DOMAIN_XML_INACTIVE)
        with translate_errors(f"Can't read the description of {self.name}"):
            return ET.fromstring(self.handle.XMLDesc(flags))

    # ---- ports, as described in vms.domain.ports

    @property
    def sockets(self) -> dict[str, Path]:
        """The sockets of its console and channels, by name."""
        return self.ports.sockets

    @property
    def console(self) -> LineReader:
        """The lines of its first UART. Raise MachineError."""
        return self.ports.console

    @property
    def events(self) -> LineReader:
        """The lines by which its agent reports the guest's start. Raise MachineError."""
        return self.ports.events

    @property
    def agent(self) -> Agent:
        """The payload's agent. Raise MachineError."""
        return self.ports.agent

    @property
    def inside(self) -> Inside:
        """The agent that the machine has: the payload's, or qemu-guest-agent. Raise NotFound."""
        return self.ports.inside

    def port(self, name: str, *, force: bool = False) -> Path | socket.socket:
        """Return the socket's path, or a socket, of a port. (`Ports.open`) Raise MachineError."""
        return self.ports.open(name, force=force)

    def connect(self) -> None:
        """Connect to its ports before its first instruction. Raise MachineError."""
        self.ports.connect()

    def disconnect(self) -> None:
        """Close the connections to its ports, so that other processes can connect."""
        self.ports.disconnect()

    def wait_for(self, milestone: Milestone, timeout_seconds: float) -> int:
        """Return the time at which it reached a milestone. (`Ports.wait_for`) Raise BootTimeout."""
        return self.ports.wait_for(milestone, timeout_seconds)

    def forward(self, machine: Machine) -> None:
        """Add the port forwards of its description while it runs. Raise MachineError."""
        self.machine = machine
        port_forwarding.forward_through_libvirt(machine, self.handle)

    # ---- life

    def start(self, *, paused: bool = False) -> None:
        """Start a machine that is defined; a saved machine continues where it was saved.

        To receive its output from the first instruction on: start it paused, connect, resume. Raise
        MachineError.
        """
        self.disconnect()
        embedded = self._place.embedded_root is not None
        with translate_errors(f"Can't start {self.name}"), adopting_qemu_of(embedded=embedded):
            self.handle.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        self.ports.sockets = listening_sockets(self.handle)
        self.reap()

    def reap(self) -> None:
        """Arrange that its QEMU, which was just started, is reaped as soon as it ends."""
        if pid := self._place.qemu_pid(self.name):
            reap_when_ended(pid)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Forward the ports of the QEMU that libvirt starts anew inside the block.

        If this process has a monitor of the machine, the new QEMU is connected to it. Raise
        MachineError.
        """
        machine, monitor = self.machine, self._monitor
        if machine is None or monitor is None:
            yield
            if machine:
                self.forward(machine)
            return
        monitor.close()
        with Listener(monitor.path) as listener:

            def accept() -> None:
                self._monitor = listener.accept()
                port_forwarding.forward(machine, self._monitor.human_command)

            with in_background(accept, listener.give_up):
                yield

    def resume(self) -> None:
        """Resume its CPUs. Raise MachineError."""
        with translate_errors(f"Can't resume {self.name}"):
            self.handle.resume()

    def suspend(self) -> None:
        """Halt its CPUs, and keep all else. Raise MachineError."""
        with translate_errors(f"Can't suspend {self.name}"):
            self.handle.suspend()

    def reset(self) -> None:
        """Press its reset button. Raise MachineError."""
        with translate_errors(f"Can't reset {self.name}"):
            self.handle.reset()

    def reboot(self) -> None:
        """Ask the guest to restart, by ACPI or qemu-guest-agent. Raise MachineError."""
        with translate_errors(f"Can't reboot {self.name}"):
            self.handle.reboot()

    def shutdown(self, timeout_seconds: float = 60.0, *, force: bool = True) -> Ended:
        """Ask the guest to shut down: by ACPI, after 10 s also by its agent.

        If it does not within the timeout, destroy it, or without `force` raise TimedOut. Return the
        last means that was used. Raise MachineError.
        """
        begin = time.monotonic()
        with Events(self.handle.connect(), ("lifecycle",), self.handle) as lifecycle:
            with translate_errors(f"Can't shut down {self.name}"):
                self.handle.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
            if self._stops(lifecycle, begin + min(_ACPI_SECONDS, timeout_seconds / 2)):
                return "acpi"
            with suppress(MachineError):
                self.inside.shut_down()
            if self._stops(lifecycle, begin + timeout_seconds):
                return "agent"
        if not force:
            raise TimedOut(f"{self.name} did not shut down within {timeout_seconds:.0f} s.")
        self.destroy()
        return "force"

    def destroy(self) -> None:
        """Stop it at once, as by pulling the plug; a transient machine no longer exists then.

        The QEMU of a transient machine of an embedded libvirt is killed rather than asked to quit,
        which takes seconds under emulation; it has nothing to save. Raise MachineError if libvirt
        refuses or does not answer: the machine may run on, and none of its files is removed.
        """
        if self._destroyed:
            return
        self.disconnect()
        if self._monitor:
            self._monitor.close()
        with translate_errors(f"Can't destroy {self.name}"):
            is_transient = self._is_transient()
            with ExitStack() as stack:
                if is_transient and (pid := self._place.qemu_pid(self.name)):
                    kill(pid, stack)
                with suppress(MachineGone):  # it may have ended by itself
                    ask(self.handle.destroy)
        if is_transient:
            self._destroyed = True
            for path in self._own_files:
                path.unlink(missing_ok=True)
            self.on_gone()

    def save(self, path: Path | None = None) -> None:
        """Stop it, with its memory saved for the next start, or to a file for Connection.restore.

        Raise MachineError.
        """
        self.disconnect()
        with translate_errors(f"Can't save {self.name}"):
            if path is None:
                self.handle.managedSave()
            else:
                self.handle.save(str(path))

    @property
    def is_saved(self) -> bool:
        """True if its next start continues from saved memory. Raise MachineError."""
        with translate_errors(f"Can't tell if {self.name} is saved"):
            return bool(self.handle.hasManagedSaveImage())

    def undefine(self) -> None:
        """Remove its definition, saved memory and snapshots' metadata; keep its disks.

        A running machine runs on, and no longer exists once it stops. Raise MachineError.
        """
        flags = (
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        )
        with translate_errors(f"Can't undefine {self.name}"):
            self.handle.undefineFlags(flags)

    def rename(self, name: str) -> None:
        """Give a machine that is shut off another name. Raise MachineError."""
        names.refuse(name)
        with translate_errors(f"Can't rename {self.name} to {name}"):
            self.handle.rename(name)
        self.name = self.ports.machine = name

    @property
    def autostart(self) -> bool:
        """True if libvirt starts the machine when it starts itself. Raise MachineError."""
        with translate_errors(f"Can't read the autostart setting of {self.name}"):
            return bool(self.handle.autostart())

    @autostart.setter
    def autostart(self, on: bool) -> None:
        with translate_errors(f"Can't set autostart of {self.name}"):
            self.handle.setAutostart(int(on))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def _is_transient(self) -> bool:
        """Return True for a machine without a definition, or one that libvirt no longer has."""
        with suppress(MachineGone):
            return not ask(self.handle.isPersistent)
        return True

    def _stops(self, lifecycle: Events, deadline: float) -> bool:
        """Return True if it stops before the deadline."""
        while self.is_running:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            lifecycle.within(left)
        return True

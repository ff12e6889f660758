"""One machine's life, once libvirt has made or found it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, Self
from xml.etree import ElementTree as ET

import libvirt
import libvirt_qemu

from vms import paths as state
from vms.description import CONSOLE, names
from vms.domain import port_forwarding, streams
from vms.domain.events import Events
from vms.domain.ports import listening_sockets
from vms.domain.states import STATES, State
from vms.errors import BootTimeout, MachineError
from vms.guest import qemu_guest_agent
from vms.guest.serial_lines import LineReader
from vms.guest.tonnage_agent import Agent
from vms.hosts import HERE, Host
from vms.libvirt_errors import NotThereError, asked, translate_errors
from vms.qemu.early_resume import beside
from vms.qemu.qmp import Listener
from vms.qemu.reaper import adopting_qemu_of, reap_when_ended
from vms.qemu.termination import kill

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from vms.description import Machine
    from vms.guest.interface import Inside
    from vms.qemu.early_resume import Origin
    from vms.qemu.qmp import Monitor

EVENTS, AGENT = "tonnage.events", "tonnage.agent"
Milestone = Literal["first-instruction", "userspace", "ready"]
Ended = Literal["acpi", "agent", "force"]
_ACPI_SECONDS = 10.0
_ASK_SECONDS = 3.0


class Domain:
    """A machine that libvirt has; a context manager that destroys it.

    `console` and `events` read the lines of its UART and of its channel `tonnage.events`; `agent`
    runs commands by its channel `tonnage.agent`. They are connected when they are first used, and
    hear what is said from then on.
    """

    monitor: Monitor
    machine: Machine | None = None  # as it was started, if by this process
    handle: Any = None  # libvirt's, once it has made the machine

    def __init__(
        self, name: str, sockets: dict[str, Path], pid_file: Path | None, host: Host = HERE
    ) -> None:
        self.name = name
        self.sockets = sockets
        self.host = host
        self._own = tuple(sockets.values())
        self.on_gone: Callable[[], object] = lambda: None
        self.image_directories: Sequence[Path] = (state.images(),)
        self._pid_file = pid_file
        self._monitor = ExitStack()
        self._calls: Path | None = None  # where its QEMU calls our monitor
        self._readers: dict[str, LineReader] = {}
        self._agent: Agent | None = None
        self._from_start = False
        self._destroyed = False

    @classmethod
    def found(cls, handle: Any, pid_file: Path | None, host: Host = HERE) -> Self:
        """The machine of a handle; where its ports listen is told by its XML."""
        domain = cls(handle.name(), {}, pid_file, host)
        domain.handle = handle
        domain.look_at_ports()
        return domain

    # ---- what it is

    @property
    def vmm_pid(self) -> int:
        """QEMU's process on this host. Raises MachineError if there is none that is ours."""
        if not (pid := self._pid()):
            raise MachineError(f"{self.name} is not run by this process's own libvirt.")
        return pid

    @property
    def is_running(self) -> bool:
        """Return True if libvirt has it, and a QEMU for it. Raises MachineError if that is unknown.

        A libvirt that does not answer says nothing about its machines, which run on without it.
        """
        with translate_errors(f"Whether {self.name} runs can't be known"), suppress(NotThereError):
            return bool(asked(self.handle.isActive))
        return False

    @property
    def state(self) -> State:
        """In libvirt's words. Raises MachineError if libvirt has it no more."""
        with translate_errors(f"The state of {self.name} can't be had"):
            state, _ = self.handle.state()
        return STATES.get(state, "unknown")

    def xml(self, *, inactive: bool = False) -> ET.Element:
        """Its description as it runs, or as it is defined. Raises MachineError."""
        flags = libvirt.VIR_DOMAIN_XML_SECURE | (inactive and libvirt.VIR_DOMAIN_XML_INACTIVE)
        with translate_errors(f"The description of {self.name} can't be had"):
            return ET.fromstring(self.handle.XMLDesc(flags))

    # ---- its ports

    @property
    def console(self) -> LineReader:
        """The lines of its first UART. Raises MachineError."""
        return self._reader(CONSOLE)

    @property
    def events(self) -> LineReader:
        """What its agent tells of its start. Raises MachineError."""
        return self._reader(EVENTS)

    @property
    def agent(self) -> Agent:
        """The tiny agent. Raises MachineError."""
        if self._agent is None:
            self._agent = Agent(self.port(AGENT), heard_from_start=self._from_start)
        return self._agent

    @property
    def inside(self) -> Inside:
        """Whichever agent it has: the tiny one or qemu-guest-agent. Raises MachineError."""
        if AGENT in self.sockets:
            return self.agent
        if qemu_guest_agent.CHANNEL in self.sockets:
            return qemu_guest_agent.GuestAgent(self.handle)
        raise MachineError(
            f"{self.name} has a channel neither for {AGENT} nor for {qemu_guest_agent.CHANNEL}."
        )

    def port(self, name: str, *, force: bool = False) -> Path | socket.socket:
        """Where its console or a channel is reached: its socket here, else a stream of libvirt's.

        `force` takes a stream over from whoever has it. Raises MachineError.
        """
        if name not in self.sockets:
            raise MachineError(f"{self.name} has no {name} that listens on a socket.")
        path = self.sockets[name]
        if self.host.is_here and (path.is_socket() or self.handle is None):
            return path
        return streams.opened(self.handle, self.name, name, force=force)

    def look_at_ports(self) -> None:
        """Learn from its XML which ports it has, and where those listen that libvirt chose for."""
        self.sockets = {**dict(listening_sockets(self.handle)), **self.sockets}

    def connect(self) -> None:
        """Connect to its ports before its first instruction. Raises MachineError."""
        self._from_start = True
        _ = self.console
        if EVENTS in self.sockets:
            _ = self.events
        if AGENT in self.sockets:
            _ = self.agent

    def run(self, listener: Listener, machine: Machine, origin: Origin | None) -> None:
        """Connect to its ports, bring it to where it begins and let it go. Raises MachineError."""
        self._calls, self.machine = listener.path, machine
        monitor = self.monitor = self._monitor.enter_context(listener.accept())
        self.connect()
        if origin:
            origin.load(monitor)
        port_forwarding.make(machine, monitor.say)
        monitor.execute("cont")

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Have the QEMU that libvirt starts meanwhile call our monitor, and forward its ports.

        Raises MachineError.
        """
        machine = self.machine
        if machine is None or self._calls is None:
            yield
            if machine:
                self.forward(machine)
            return
        self._monitor.close()
        with Listener(self._calls) as listener:

            def answer() -> None:
                self.monitor = self._monitor.enter_context(listener.accept())
                port_forwarding.make(machine, self.monitor.say)

            with beside(answer, listener.give_up):
                yield

    def forward(self, machine: Machine) -> None:
        """Forward the ports that its description asks for while it runs. Raises MachineError."""
        self.machine = machine
        with translate_errors(f"Can't forward ports to {self.name}"):
            port_forwarding.make(
                machine,
                lambda line: libvirt_qemu.qemuMonitorCommand(
                    self.handle, line, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
                ),
            )

    def disconnect(self) -> None:
        """Let go of its ports, for others to hold."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._drop_agent()

    def wait_for(self, milestone: Milestone, timeout_seconds: float) -> int:
        """When it was there, by CLOCK_MONOTONIC in ns as it was heard; `ready`: its agent answers.

        A milestone passed before anybody listened is told by the agent once more, and so heard
        late. Raises BootTimeout, with the guest's own last words if its kernel panicked.
        """
        deadline_ns = time.monotonic_ns() + int(timeout_seconds * 1e9)
        try:
            if milestone == "ready":
                return self._answers(deadline_ns)
            if milestone == "first-instruction" and self._from_start:
                return self.console.wait_for(milestone, deadline_ns)
            if EVENTS not in self.sockets:
                return self._answers(deadline_ns)  # with no word from inside, that is what is known
            return self.events.wait_for(milestone, deadline_ns)
        except BootTimeout as error:
            panic = self.console.panic if CONSOLE in self._readers else ""
            raise BootTimeout(f"{self.name} was not at {milestone}: {panic or error}") from error

    # ---- its life

    def start(self, *, paused: bool = False) -> None:
        """Start a machine that is defined; one that was saved goes on where it was.

        To hear it from its first instruction: start it paused, connect, resume. Raises
        MachineError.
        """
        self.disconnect()
        embedded = self._pid_file is not None
        with (
            translate_errors(f"libvirt can't start {self.name}"),
            adopting_qemu_of(embedded=embedded),
        ):
            self.handle.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        self.sockets = dict(listening_sockets(self.handle))
        self.reap()

    def reap(self) -> None:
        """See to it that its QEMU, which was just started, is gone as soon as it ends."""
        if pid := self._pid():
            reap_when_ended(pid)

    def resume(self) -> None:
        """Let its CPUs run. Raises MachineError."""
        with translate_errors(f"{self.name} can't be resumed"):
            self.handle.resume()

    def suspend(self) -> None:
        """Halt its CPUs, and keep the rest. Raises MachineError."""
        with translate_errors(f"{self.name} can't be suspended"):
            self.handle.suspend()

    def reset(self) -> None:
        """Press its reset button. Raises MachineError."""
        with translate_errors(f"{self.name} can't be reset"):
            self.handle.reset()

    def reboot(self) -> None:
        """Ask for a restart, by ACPI or qemu-guest-agent. Raises MachineError."""
        with translate_errors(f"{self.name} can't be rebooted"):
            self.handle.reboot()

    def shutdown(self, timeout_seconds: float = 60.0, *, force: bool = True) -> Ended:
        """Ask for its end: by ACPI, after 10 s by its agent too; destroy it when time is over.

        Returns what was asked last. Raises MachineError if it runs on and must not be forced.
        """
        begin = time.monotonic()
        with Events(self.handle.connect(), ("lifecycle",), self.handle) as life:
            with translate_errors(f"{self.name} can't be shut down"):
                self.handle.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
            if self._stops(life, begin + min(_ACPI_SECONDS, timeout_seconds / 2)):
                return "acpi"
            with suppress(MachineError):
                self.inside.shut_down()
            if self._stops(life, begin + timeout_seconds):
                return "agent"
        if not force:
            raise MachineError(f"{self.name} did not shut down within {timeout_seconds:.0f} s.")
        self.destroy()
        return "force"

    def destroy(self) -> None:
        """Pull the plug: when this returns it runs no more; a transient one is gone altogether.

        The QEMU of a transient machine of ours is killed rather than asked, since asking takes
        seconds under emulation and it has nothing to save. Raises MachineError if libvirt refuses
        or does not answer; the machine may run on, and nothing of it is removed.
        """
        if self._destroyed:
            return
        self.disconnect()
        self._monitor.close()
        with translate_errors(f"{self.name} can't be destroyed"):
            transient = self._is_transient()
            with ExitStack() as stack:
                if transient and (pid := self._pid()):
                    kill(pid, stack)
                if self.handle:
                    with suppress(NotThereError):  # it may have ended by itself
                        asked(self.handle.destroy)
        if transient:
            self._destroyed = True
            for path in self._own:
                path.unlink(missing_ok=True)
            self.on_gone()

    def save(self, path: Path | None = None) -> None:
        """Write its memory to a file, or to where its next start finds it, and stop it.

        Raises MachineError. (`Connection.restore` reads the file)
        """
        self.disconnect()
        with translate_errors(f"{self.name} can't be saved"):
            if path is None:
                self.handle.managedSave()
            else:
                self.handle.save(str(path))

    @property
    def is_saved(self) -> bool:
        """Whether its next start goes on where it was saved."""
        with translate_errors(f"Whether {self.name} was saved can't be known"):
            return bool(self.handle.hasManagedSaveImage())

    def undefine(self) -> None:
        """Forget it, with its saved memory and its snapshots' metadata; its disks stay.

        Raises MachineError. One that runs goes on, and is gone when it stops.
        """
        flags = (
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        )
        with translate_errors(f"{self.name} can't be undefined"):
            self.handle.undefineFlags(flags)

    def rename(self, name: str) -> None:
        """Give a machine that is shut off another name. Raises MachineError."""
        names.refuse(name)
        with translate_errors(f"{self.name} can't be renamed to {name}"):
            self.handle.rename(name)
        self.name = name

    @property
    def autostart(self) -> bool:
        """Whether it is started when libvirt is."""
        with translate_errors(f"Whether {self.name} starts by itself can't be known"):
            return bool(self.handle.autostart())

    @autostart.setter
    def autostart(self, on: bool) -> None:
        with translate_errors(f"{self.name} can't be made to start by itself"):
            self.handle.setAutostart(int(on))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    # ---- how that is done

    def _reader(self, name: str) -> LineReader:
        if name not in self._readers:
            self._readers[name] = LineReader(self.port(name))
            if name == EVENTS and not self._from_start:
                self._readers[name].ask_again()
        return self._readers[name]

    def _pid(self) -> int:
        with suppress(OSError, ValueError):
            return int(self._pid_file.read_text()) if self._pid_file else 0
        return 0

    def _is_transient(self) -> bool:
        """Return True for one that libvirt has no more, too."""
        with suppress(NotThereError):
            return self.handle is None or not asked(self.handle.isPersistent)
        return True

    def _answers(self, deadline_ns: int) -> int:
        """Ask until an agent answers; a question that a restart swallowed is asked once more."""
        patience_seconds = _ASK_SECONDS
        while (left_seconds := (deadline_ns - time.monotonic_ns()) / 1e9) > 0:
            if self.inside.answers(min(left_seconds, patience_seconds)):
                return time.monotonic_ns()
            self._drop_agent()
            patience_seconds *= 2
        raise BootTimeout("its agent did not answer in time.")

    def _drop_agent(self) -> None:
        if self._agent:
            self._agent.close()
        self._agent = None
        self._from_start = False

    def _stops(self, life: Events, deadline: float) -> bool:
        while self.is_running:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            life.within(left)
        return True

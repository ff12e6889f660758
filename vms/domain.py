"""One machine's life, once libvirt has made it."""

from __future__ import annotations

import os
import select
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import libvirt
import libvirt_qemu

from vms.agent import Agent
from vms.boot import LineReader
from vms.errors import MachineError
from vms.silence import unheard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vms.devices import Machine
    from vms.launch import Origin
    from vms.monitor import Monitor

EVENTS, AGENT = "tonnage.events", "tonnage.agent"
_KILL_SECONDS = 10.0


class Domain:
    """A machine that libvirt runs; a context manager that destroys it.

    `console` and `events` read the lines of its UART and of its channel `tonnage.events`; `agent`
    runs commands by its channel `tonnage.agent`.
    """

    console: LineReader
    events: LineReader
    agent: Agent

    monitor: Monitor
    handle: Any = None  # libvirt's, once it has made the machine
    pid = 0

    def __init__(self, machine: Machine, sockets: dict[str, Path]) -> None:
        self.machine = machine
        self.name = machine.name
        self.on_gone: Callable[[], object] = lambda: None
        self._sockets = sockets
        self._connections = ExitStack()
        self._gone = False

    @property
    def qemu_pid(self) -> int:
        """QEMU's process on this host. Raises MachineError if libvirt is not embedded."""
        if not self.pid:
            raise MachineError(f"{self.name} is not run by this process's own libvirt.")
        return self.pid

    @property
    def is_running(self) -> bool:
        """Whether libvirt still has it."""
        try:
            return bool(self.handle.isActive())
        except libvirt.libvirtError:
            return False

    def run(self, monitor: Monitor, origin: Origin | None) -> None:
        """Connect to its ports, bring it to where it begins and let it go. Raises MachineError."""
        self.monitor = self._connections.enter_context(monitor)
        self._connect_ports()
        if origin:
            origin.load(monitor)
        self._forward(lambda line: monitor.execute("human-monitor-command", command_line=line))
        monitor.execute("cont")

    def connect(self) -> None:
        """Connect to its ports and forward its network's. Raises MachineError."""
        self._connect_ports()
        self._forward(
            lambda line: libvirt_qemu.qemuMonitorCommand(
                self.handle, line, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
            )
        )

    def resume(self) -> None:
        """Let its CPUs run. Raises libvirtError."""
        self.handle.resume()

    def destroy(self) -> None:
        """Pull the plug: it is gone when this returns, and so are its sockets.

        QEMU is killed rather than asked, since asking takes it seconds under emulation and a
        transient machine has nothing to save.
        """
        if self._gone:
            return
        self._gone = True
        self._connections.close()
        with ExitStack() as stack:
            if self.pid:
                self._kill(stack)
            if self.handle:
                with suppress(libvirt.libvirtError):  # it may have ended by itself
                    self.handle.destroy()
        for path in self._sockets.values():
            path.unlink(missing_ok=True)
        self.on_gone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def _kill(self, stack: ExitStack) -> None:
        """Kill QEMU and reap it; libvirt does not hear of it until the stack is closed."""
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self.pid)
            stack.callback(os.close, pidfd)
            stack.enter_context(unheard(self.pid, pidfd))
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if ended_within(pidfd, _KILL_SECONDS):
                with suppress(ChildProcessError):  # reaped elsewhere
                    os.waitpid(self.pid, 0)

    def _connect_ports(self) -> None:
        self.console = self._connections.enter_context(LineReader(self._sockets["console"]))
        if EVENTS in self._sockets:
            self.events = self._connections.enter_context(LineReader(self._sockets[EVENTS]))
        if AGENT in self._sockets:
            self.agent = self._connections.enter_context(Agent(self._sockets[AGENT]))

    def _forward(self, say: Callable[[str], str]) -> None:
        # libvirt knows port forwards of passt alone; the user-mode network has them by its monitor.
        for card, network in self.machine.forwards():
            for forward in network.forwards:
                said = say(
                    f"hostfwd_add hostnet{card} {forward.protocol}:{forward.address}:{forward.host}"
                    f"-:{forward.guest}"
                )
                if said.strip():
                    raise MachineError(
                        f"Can't forward port {forward.host} of {forward.address} to {self.name}: it"
                        " is in use, or not to be had; choose another one."
                    )


def ended_within(pidfd: int, seconds: float) -> bool:
    """Whether the process of the descriptor ends in that time. (pidfd_open(2))"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))

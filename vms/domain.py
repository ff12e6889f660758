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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vms.devices import Forward, Machine

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

    def __init__(
        self, machine: Machine, handle: Any, sockets: dict[str, Path], pid_file: Path | None
    ) -> None:
        self.machine = machine
        self.name = machine.name
        self.on_gone: Callable[[], object] = lambda: None
        self._handle = handle
        self._sockets = sockets
        self._connections = ExitStack()
        self._gone = False
        self._pid = int(pid_file.read_text()) if pid_file else 0

    @property
    def qemu_pid(self) -> int:
        """QEMU's process on this host. Raises MachineError if libvirt is not embedded."""
        if not self._pid:
            raise MachineError(f"{self.name} is not run by this process's own libvirt.")
        return self._pid

    @property
    def is_running(self) -> bool:
        """Whether libvirt still has it."""
        try:
            return bool(self._handle.isActive())
        except libvirt.libvirtError:
            return False

    def connect(self) -> None:
        """Connect to its ports and forward its network's. Raises MachineError."""
        self.console = self._connections.enter_context(LineReader(self._sockets["console"]))
        if EVENTS in self._sockets:
            self.events = self._connections.enter_context(LineReader(self._sockets[EVENTS]))
        if AGENT in self._sockets:
            self.agent = self._connections.enter_context(Agent(self._sockets[AGENT]))
        for card, network in self.machine.forwards():
            for forward in network.forwards:
                self._forward(card, forward)

    def resume(self) -> None:
        """Let its CPUs run. Raises libvirtError."""
        self._handle.resume()

    def destroy(self) -> None:
        """Pull the plug: it is gone when this returns, and so are its sockets.

        QEMU is killed rather than asked, since asking takes it seconds under emulation and a
        transient machine has nothing to save.
        """
        if self._gone:
            return
        self._gone = True
        self._connections.close()
        if self._pid:
            self._kill()
        with suppress(libvirt.libvirtError):  # it may have ended by itself
            self._handle.destroy()
        for path in self._sockets.values():
            path.unlink(missing_ok=True)
        self.on_gone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self._pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                if ended_within(pidfd, _KILL_SECONDS):
                    with suppress(ChildProcessError):  # reaped elsewhere
                        os.waitpid(self._pid, 0)
            finally:
                os.close(pidfd)

    def _forward(self, card: int, forward: Forward) -> None:
        # libvirt knows port forwards of passt alone; the user-mode network has them by its monitor.
        said = libvirt_qemu.qemuMonitorCommand(
            self._handle,
            f"hostfwd_add hostnet{card} {forward.protocol}:{forward.address}:{forward.host}"
            f"-:{forward.guest}",
            libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
        )
        if said.strip():
            raise MachineError(
                f"Can't forward port {forward.host} of {forward.address} to {self.name}: it is in"
                " use, or not to be had; choose another one."
            )


def ended_within(pidfd: int, seconds: float) -> bool:
    """Whether the process of the descriptor ends in that time. (pidfd_open(2))"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))

"""Ports of a machine: the sockets of its console and channels, and the connections to them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

from vms.description import CONSOLE
from vms.domain import streams
from vms.domain.states import STATES
from vms.errors import BootTimeout, MachineError, NotFound
from vms.guest import qemu_guest_agent
from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL
from vms.guest.serial_lines import LineReader
from vms.guest.tonnage_agent import Agent
from vms.hosts import HERE, Host
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    import socket

    from vms.guest.interface import Inside

Milestone = Literal["first-instruction", "userspace", "ready"]
_ASK_SECONDS = 3.0


def listening_sockets(handle: Any) -> dict[str, Path]:
    """Return the sockets of the console and of each channel, by name, from the machine's XML."""
    with translate_errors(f"Can't read the description of {handle.name()}"):
        devices = ET.fromstring(handle.XMLDesc()).find("devices")
    assert devices is not None
    sockets = {}
    if (path := _socket_of(devices.find("serial"))) is not None:
        sockets[CONSOLE] = path
    for channel in devices.findall("channel"):
        target, path = channel.find("target"), _socket_of(channel)
        if target is not None and path is not None and (name := target.get("name")):
            sockets[name] = path
    return sockets


class Ports:
    """The ports of a machine, each connected on first use.

    A connection receives only output from then on. `handle` is libvirt's handle of the machine; it
    is None while libvirt still starts the machine, and then only the local sockets can be reached.
    """

    def __init__(
        self, machine: str, sockets: dict[str, Path], host: Host = HERE, handle: Any = None
    ) -> None:
        self.machine = machine
        self.sockets = sockets
        self.handle = handle
        self._host = host
        self._readers: dict[str, LineReader] = {}
        self._agent: Agent | None = None
        self._from_start = False

    @property
    def console(self) -> LineReader:
        """The lines of the first UART. Raise MachineError if it can't be connected."""
        return self._reader(CONSOLE)

    @property
    def events(self) -> LineReader:
        """The lines by which the agent reports the guest's start. Raise MachineError."""
        return self._reader(EVENTS_CHANNEL)

    @property
    def agent(self) -> Agent:
        """The connection to the payload's agent. Raise MachineError."""
        if self._agent is None:
            self._agent = Agent(
                self.open(AGENT_CHANNEL),
                heard_from_start=self._from_start,
                why_ended=self._why_ended,
                panic_since=self._panic_since,
            )
        return self._agent

    @property
    def inside(self) -> Inside:
        """The agent of the machine: the payload's, or qemu-guest-agent. Raise NotFound if none."""
        if AGENT_CHANNEL in self.sockets:
            return self.agent
        if qemu_guest_agent.CHANNEL in self.sockets:
            return qemu_guest_agent.GuestAgent(self.handle, self._panic_since)
        raise NotFound(
            f"{self.machine} has no channel for an agent: give it a channel {AGENT_CHANNEL} or"
            f" {qemu_guest_agent.CHANNEL}."
        )

    def open(self, name: str, *, force: bool = False) -> Path | socket.socket:
        """Return the socket's path of a port on this host, else a socket on libvirt's stream.

        `force` takes a stream over from its present user. Raise NotFound if the machine has no such
        port, and MachineError if libvirt can't open it.
        """
        if name not in self.sockets:
            raise NotFound(f"{self.machine} has no {name} that listens on a socket.")
        path = self.sockets[name]
        if self._host.is_here and (path.is_socket() or self.handle is None):
            return path
        return streams.opened(self.handle, self.machine, name, force=force)

    def connect(self) -> None:
        """Connect to all ports before the machine's first instruction. Raise MachineError."""
        self._from_start = True
        _ = self.console
        if EVENTS_CHANNEL in self.sockets:
            _ = self.events
        if AGENT_CHANNEL in self.sockets:
            _ = self.agent

    def disconnect(self) -> None:
        """Close all connections, so that other processes can connect."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._drop_agent()

    def wait_for(self, milestone: Milestone, timeout_seconds: float) -> int:
        """Return the CLOCK_MONOTONIC time in ns at which the milestone's line arrived.

        The milestone `ready` is the agent's answer. For a milestone that passed before this process
        connected, the agent reports it again, and the time is that of the second report. Raise
        BootTimeout, with the guest's own message if its kernel panicked.
        """
        deadline_ns = time.monotonic_ns() + int(timeout_seconds * 1e9)
        try:
            if milestone == "ready":
                return self._await_agent(deadline_ns)
            if milestone == "first-instruction" and self._from_start:
                return self.console.wait_for(milestone, deadline_ns)
            if EVENTS_CHANNEL not in self.sockets:
                # Without the channel for events the agent's answer is the only sign of life.
                return self._await_agent(deadline_ns)
            return self.events.wait_for(milestone, deadline_ns)
        except BootTimeout as error:
            raise BootTimeout(
                f"{self.machine} did not reach {milestone}: {self._panic_since() or error}"
            ) from error

    def _reader(self, name: str) -> LineReader:
        if name not in self._readers:
            self._readers[name] = LineReader(self.open(name))
            if name == EVENTS_CHANNEL and not self._from_start:
                self._readers[name].ask_again()
        return self._readers[name]

    def _await_agent(self, deadline_ns: int) -> int:
        """Ask until an agent answers; ask again if a restart of the guest lost the question."""
        patience_seconds = _ASK_SECONDS
        while (left_seconds := (deadline_ns - time.monotonic_ns()) / 1e9) > 0:
            if self.inside.answers(min(left_seconds, patience_seconds)):
                return time.monotonic_ns()
            self._drop_agent()
            patience_seconds *= 2
        raise BootTimeout("its agent did not answer in time.")

    def _panic_since(self, begin_ns: int = 0) -> str:
        return self.console.panic_since(begin_ns) if CONSOLE in self._readers else ""

    def _why_ended(self) -> str:
        """Return the guest's panic, else whether libvirt says that the machine still runs."""
        if panic := self._panic_since():
            return panic
        try:
            with translate_errors(f"Can't read the state of {self.machine}"):
                state, _ = self.handle.state()
        except MachineError as error:
            return str(error).removesuffix(".")
        return f"libvirt says that it is {STATES.get(state, 'unknown')}"

    def _drop_agent(self) -> None:
        if self._agent:
            self._agent.close()
        self._agent = None
        self._from_start = False


def _socket_of(port: ET.Element | None) -> Path | None:
    source = port.find("source") if port is not None else None
    return Path(source.attrib["path"]) if source is not None and "path" in source.attrib else None

"""Ports of machines that only libvirt reaches: its streams, joined to sockets.

libvirt's event loop moves the bytes. A stream that blocks would hold its reader for as long as the
guest says nothing, so that none is used. (virDomainOpenConsole, virDomainOpenChannel,
virStreamEventAddCallback)
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from typing import Any

import libvirt

from vms.description import CONSOLE
from vms.libvirt_errors import translate_errors

_BLOCK_BYTES = 65536
_LEAVE_SECONDS, _PAUSE_SECONDS = 0.5, 0.02
_HELD = re.compile(r"Active (console|channel)")
_NOT_YET = -2  # what a stream returns that would block
_READABLE, _WRITABLE = libvirt.VIR_STREAM_EVENT_READABLE, libvirt.VIR_STREAM_EVENT_WRITABLE
_BROKEN = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_IN, _OUT = libvirt.VIR_EVENT_HANDLE_READABLE, libvirt.VIR_EVENT_HANDLE_WRITABLE
_GONE = libvirt.VIR_EVENT_HANDLE_ERROR | libvirt.VIR_EVENT_HANDLE_HANGUP


def opened(handle: Any, machine: str, name: str, *, force: bool = False) -> socket.socket:
    """The console, or the channel of that name, as a socket of our own. Raises MachineError.

    It is one user's at a time; one that has just left is waited for, and `force` ends another's.
    """
    with translate_errors(f"The {name} of {machine} can't be had"):
        stream = _stream(handle, name, force=force)
        ours, theirs = socket.socketpair()
        _Joined(stream, theirs)
    return ours


def _stream(handle: Any, name: str, *, force: bool) -> Any:
    console = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0
    channel = libvirt.VIR_DOMAIN_CHANNEL_FORCE if force else 0
    give_up = time.monotonic() + _LEAVE_SECONDS
    while True:
        stream = handle.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            if name == CONSOLE:
                handle.openConsole(None, stream, console)
            else:
                handle.openChannel(name, stream, channel)
        except libvirt.libvirtError as error:
            if not _HELD.search(str(error)) or time.monotonic() > give_up:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return stream


class _Joined:
    """A stream and a socket; all but the constructor is called by libvirt's event loop alone.

    What one end does not take yet waits here, and the other end is not read meanwhile.
    """

    def __init__(self, stream: Any, end: socket.socket) -> None:
        self._stream = stream
        self._end = end
        self._to_end = self._to_stream = b""
        self._ended = False
        end.setblocking(False)
        # The stream can be written to at once: then the loop decides what to listen to.
        self._watch = libvirt.virEventAddHandle(end.fileno(), 0, self._on_end, None)
        stream.eventAddCallback(_READABLE | _WRITABLE | _BROKEN, self._on_stream, None)

    def _on_stream(self, _: object, events: int, __: object) -> None:
        if events & _READABLE and not self._to_end:
            self._from_stream()
        elif events & _BROKEN:
            self._ended = True
        self._go_on()

    def _on_end(self, _: int, __: int, events: int, ___: object) -> None:
        if events & _IN and not self._to_stream:
            self._from_end()
        elif events & _GONE:
            self._give_up()
        self._go_on()

    def _from_stream(self) -> None:
        try:
            said = self._stream.recv(_BLOCK_BYTES)
        except libvirt.libvirtError:
            said = b""
        if said == _NOT_YET:
            return
        self._to_end = said
        self._ended = not said

    def _from_end(self) -> None:
        try:
            self._to_stream = self._end.recv(_BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._to_stream = b""
        if not self._to_stream:
            self._give_up()

    def _give_up(self) -> None:
        """Nobody reads what the machine says any more."""
        self._to_end = b""
        self._ended = True

    def _go_on(self) -> None:
        """Hand on what waits, and listen to whichever end can do something."""
        try:
            self._hand_on()
        except (OSError, libvirt.libvirtError):
            self._give_up()
        if self._ended and not self._to_end:
            self._close()
            return
        reads = _READABLE if not (self._to_end or self._ended) else 0
        writes = _WRITABLE if self._to_stream else 0
        self._stream.eventUpdateCallback(reads | writes | (0 if self._ended else _BROKEN))
        takes = _IN if not self._to_stream else 0
        gives = _OUT if self._to_end else 0
        libvirt.virEventUpdateHandle(self._watch, takes | gives | _GONE)

    def _hand_on(self) -> None:
        with suppress(BlockingIOError):
            self._to_end = self._to_end[self._end.send(self._to_end) :] if self._to_end else b""
        sent = self._stream.send(self._to_stream) if self._to_stream and not self._ended else 0
        self._to_stream = self._to_stream[max(sent, 0) :]

    def _close(self) -> None:
        libvirt.virEventRemoveHandle(self._watch)
        with suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        with suppress(libvirt.libvirtError):
            self._stream.abort()
        self._end.close()

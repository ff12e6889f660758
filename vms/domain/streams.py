"""Ports of machines that only libvirt can reach, connected to sockets through its streams.

libvirt's event loop moves the bytes. Blocking streams are not used, since their readers would
block for as long as the guest prints nothing. (virDomainOpenConsole, virDomainOpenChannel,
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
_RELEASE_SECONDS, _PAUSE_SECONDS = 0.5, 0.02
_IN_USE = re.compile(r"Active (console|channel)")
_WOULD_BLOCK = -2  # the result of a stream's recv
_READABLE, _WRITABLE = libvirt.VIR_STREAM_EVENT_READABLE, libvirt.VIR_STREAM_EVENT_WRITABLE
_BROKEN = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_IN, _OUT = libvirt.VIR_EVENT_HANDLE_READABLE, libvirt.VIR_EVENT_HANDLE_WRITABLE
_GONE = libvirt.VIR_EVENT_HANDLE_ERROR | libvirt.VIR_EVENT_HANDLE_HANGUP


def opened(handle: Any, machine: str, name: str, *, force: bool = False) -> socket.socket:
    """Return a socket that is connected to the console, or to the channel of that name.

    A port has one user at a time. A user that is just leaving is waited for; `force` disconnects
    any other. Raise MachineError.
    """
    with translate_errors(f"Can't open the {name} of {machine}"):
        stream = _stream(handle, name, force=force)
        ours, theirs = socket.socketpair()
        _Relay(stream, theirs)
    return ours


def _stream(handle: Any, name: str, *, force: bool) -> Any:
    console_flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0
    channel_flags = libvirt.VIR_DOMAIN_CHANNEL_FORCE if force else 0
    deadline = time.monotonic() + _RELEASE_SECONDS
    while True:
        stream = handle.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            if name == CONSOLE:
                handle.openConsole(None, stream, console_flags)
            else:
                handle.openChannel(name, stream, channel_flags)
        except libvirt.libvirtError as error:
            if not _IN_USE.search(str(error)) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return stream


class _Relay:
    """A relay between a stream and a socket; only libvirt's event loop calls its methods.

    Bytes that one end does not accept yet are buffered, and the other end is not read meanwhile.
    """

    def __init__(self, stream: Any, end: socket.socket) -> None:
        self._stream = stream
        self._end = end
        self._to_end = self._to_stream = b""
        self._ended = False
        end.setblocking(False)
        # The stream is writable at once, so the first callback sets the events to wait for.
        self._watch = libvirt.virEventAddHandle(end.fileno(), 0, self._on_end, None)
        stream.eventAddCallback(_READABLE | _WRITABLE | _BROKEN, self._on_stream, None)

    def _on_stream(self, _: object, events: int, __: object) -> None:
        if events & _READABLE and not self._to_end:
            self._read_stream()
        elif events & _BROKEN:
            self._ended = True
        self._go_on()

    def _on_end(self, _: int, __: int, events: int, ___: object) -> None:
        if events & _IN and not self._to_stream:
            self._read_end()
        elif events & _GONE:
            self._give_up()
        self._go_on()

    def _read_stream(self) -> None:
        try:
            data = self._stream.recv(_BLOCK_BYTES)
        except libvirt.libvirtError:
            data = b""
        if data == _WOULD_BLOCK:
            return
        self._to_end = data
        self._ended = not data

    def _read_end(self) -> None:
        try:
            self._to_stream = self._end.recv(_BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._to_stream = b""
        if not self._to_stream:
            self._give_up()

    def _give_up(self) -> None:
        """Drop the machine's output, since its reader is gone."""
        self._to_end = b""
        self._ended = True

    def _go_on(self) -> None:
        """Pass on buffered bytes, and set the events to wait for."""
        try:
            self._flush()
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

    def _flush(self) -> None:
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

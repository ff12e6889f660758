"""A minimal D-Bus client for calls to systemd: a connection, method calls, their replies.

A D-Bus library would take longer to import than a container takes to start. (D-Bus Specification,
"Message Protocol" and "Type System")
"""

from __future__ import annotations

import os
import socket
import struct

from runtime.errors import ContainerError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_CALL, _REPLY, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
)
_NUMBERS = {"y": "B", "b": "I", "i": "i", "u": "I", "x": "q", "t": "Q"}
_ALIGNMENTS = {"y": 1, "g": 1, "v": 1, "x": 8, "t": 8, "(": 8, "{": 8}  # 4 for all others
_SECONDS = 10.0


class CallFailed(ContainerError):
    """An error reply; `name` is the D-Bus error's name, such as ….NoSuchUnit."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Connection:
    """A direct connection to one peer, without a bus; a context manager.

    Raise ContainerError.
    """

    def __init__(self, path: str) -> None:
        self._serial = 0
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_SECONDS)
        try:
            self._socket.connect(path)
            self._authenticate()
        except OSError as error:
            self.close()
            raise Unavailable(f"Can't connect to systemd at {path}: {error}.") from error

    def call(
        self, path: str, interface: str, member: str, signature: str = "", *arguments: object
    ) -> list[Any]:
        """Call a method and return its results.

        Raise CallFailed, or ContainerError if the connection breaks.
        """
        self._serial += 1
        fields: list[tuple[int, tuple[str, object]]] = [
            (_PATH, ("o", path)),
            (_INTERFACE, ("s", interface)),
            (_MEMBER, ("s", member)),
            (_DESTINATION, ("s", "org.freedesktop.systemd1")),
        ]
        if signature:
            fields.append((_SIGNATURE, ("g", signature)))
        body = packed(signature, *arguments)
        head = packed("yyyyuua(yv)", ord("l"), _CALL, 0, 1, len(body), self._serial, fields)
        try:
            self._socket.sendall(head + b"\0" * (-len(head) % 8) + body)
            return self._reply()
        except OSError as error:
            raise ContainerError(f"No reply from systemd to {member}: {error}.") from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _authenticate(self) -> None:
        """Authenticate by our uid, which the kernel vouches for.

        ("Authentication Protocol", EXTERNAL)

        Everything is sent at once: systemd ignores a call that arrives in the same packet as BEGIN.
        """
        user = str(os.geteuid()).encode().hex()
        self._socket.sendall(f"\0AUTH EXTERNAL {user}\r\nBEGIN\r\n".encode())
        line = b""
        while not line.endswith(b"\r\n"):
            byte = self._socket.recv(1)
            if not byte:
                raise ConnectionResetError("the connection was closed")
            line += byte
        if not line.startswith(b"OK "):
            raise PermissionError(f"the reply was {line.decode(errors='replace').strip()}")

    def _reply(self) -> list[Any]:
        """Return the reply to the latest call; skip signals that arrive before it."""
        while True:
            start = self._receive(16)
            body_size, _, fields_size = struct.unpack_from("<III", start, 4)
            rest = self._receive(fields_size + -fields_size % 8 + body_size)
            (fields,) = unpacked("a(yv)", start[12:] + rest[:fields_size], shift=12)
            header = dict(fields)
            body = rest[len(rest) - body_size :]
            if start[1] in {_REPLY, _ERROR} and header.get(_REPLY_SERIAL) == self._serial:
                values = unpacked(header.get(_SIGNATURE, ""), body)
                if start[1] == _ERROR:
                    text = values[0] if values else header[_ERROR_NAME]
                    raise CallFailed(header[_ERROR_NAME], f"systemd: {text}")
                return values

    def _receive(self, size: int) -> bytes:
        while len(self._received) < size:
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionResetError("the connection was closed")
            self._received += part
        part, self._received = self._received[:size], self._received[size:]
        return part


def packed(signature: str, *values: object) -> bytes:
    """Return values as little-endian bytes; a variant is a pair of signature and value."""
    buffer = bytearray()
    for kind, value in zip(_split(signature), values, strict=True):
        _pack(buffer, kind, value)
    return bytes(buffer)


def unpacked(signature: str, data: bytes, *, shift: int = 0) -> list[Any]:
    """Return the values in the data; a variant is its value.

    `shift` is the position of the data in the message.
    """
    reader = _Reader(data, shift)
    return [reader.take(kind) for kind in _split(signature)]


def _split(signature: str) -> list[str]:
    """Return the complete types of a signature."""
    types = []
    place = 0
    while place < len(signature):
        end = _end(signature, place)
        types.append(signature[place:end])
        place = end
    return types


def _end(signature: str, place: int) -> int:
    if signature[place] == "a":
        return _end(signature, place + 1)
    if signature[place] not in "({":
        return place + 1
    place += 1
    while signature[place] not in ")}":
        place = _end(signature, place)
    return place + 1


def _pad(buffer: bytearray, kind: str) -> None:
    buffer.extend(b"\0" * (-len(buffer) % _ALIGNMENTS.get(kind[0], 4)))


def _pack(buffer: bytearray, kind: str, value: Any) -> None:
    _pad(buffer, kind)
    if kind in _NUMBERS:
        buffer += struct.pack("<" + _NUMBERS[kind], value)
    elif kind in {"s", "o"}:
        text = value.encode()
        buffer += struct.pack("<I", len(text)) + text + b"\0"
    elif kind == "g":
        buffer += bytes([len(value)]) + value.encode() + b"\0"
    elif kind == "v":
        inner, content = value
        _pack(buffer, "g", inner)
        _pack(buffer, inner, content)
    elif kind[0] == "a":
        _pack_array(buffer, kind[1:], value)
    else:
        for inner, content in zip(_split(kind[1:-1]), value, strict=True):
            _pack(buffer, inner, content)


def _pack_array(buffer: bytearray, kind: str, values: Any) -> None:
    """Append an array; its size does not count the padding before the first element."""
    place = len(buffer)
    buffer += bytes(4)
    _pad(buffer, kind)
    start = len(buffer)
    for value in values:
        _pack(buffer, kind, value)
    struct.pack_into("<I", buffer, place, len(buffer) - start)


class _Reader:
    """A position in a message."""

    def __init__(self, data: bytes, shift: int) -> None:
        self._data = bytes(shift) + data
        self._place = shift

    def take(self, kind: str) -> Any:
        """Return the next value."""
        self._place += -self._place % _ALIGNMENTS.get(kind[0], 4)
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind in {"s", "o"}:
            return self._text(self._number("I"))
        if kind == "g":
            return self._text(self._number("B"))
        if kind == "v":
            return self.take(self.take("g"))
        if kind[0] == "a":
            return self._array(kind[1:])
        return tuple(self.take(inner) for inner in _split(kind[1:-1]))

    def _number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self._data, self._place)
        self._place += struct.calcsize(code)
        return int(value)

    def _text(self, size: int) -> str:
        start = self._place
        self._place += size + 1
        return self._data[start : start + size].decode()

    def _array(self, kind: str) -> list[Any]:
        size = self._number("I")
        self._place += -self._place % _ALIGNMENTS.get(kind[0], 4)
        end = self._place + size
        values = []
        while self._place < end:
            values.append(self.take(kind))
        return values

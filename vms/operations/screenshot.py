"""A picture of a machine's screen, as PNG.

QEMU draws a Netpbm picture, some libvirts a PNG. (ppm(5); PNG specification, third edition)
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from vms.errors import MachineError
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.domain.domain import Domain

_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = re.compile(rb"P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s")
_BLOCK_BYTES = 1 << 18
_EIGHT_BITS, _RGB = 8, 2


def take(domain: Domain, screen: int = 0) -> bytes:
    """The screen as it is now. Raises MachineError for a machine without one."""
    drawn = bytearray()
    with translate_errors(f"{domain.name} can't be pictured"):
        stream = domain.handle.connect().newStream(0)
        domain.handle.screenshot(stream, screen, 0)
        while block := stream.recv(_BLOCK_BYTES):
            drawn += block
        stream.finish()
    return bytes(drawn) if drawn.startswith(_PNG) else png(bytes(drawn))


def png(picture: bytes) -> bytes:
    """A binary PPM picture as PNG. Raises MachineError if it is none."""
    head = _HEAD.match(picture)
    if not head:
        raise MachineError("The screen came in a format that is not known here.")
    width, height = int(head[1]), int(head[2])
    pixels, row = picture[head.end() :], 3 * width
    if len(pixels) != row * height:
        raise MachineError("The picture of the screen came incomplete.")
    lines = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    described = struct.pack(">IIBBBBB", width, height, _EIGHT_BITS, _RGB, 0, 0, 0)
    return (
        _PNG
        + _chunk(b"IHDR", described)
        + _chunk(b"IDAT", zlib.compress(lines))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    length = struct.pack(">I", len(content))
    return length + kind + content + struct.pack(">I", zlib.crc32(kind + content))

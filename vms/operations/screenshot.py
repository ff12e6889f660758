"""Screenshots of a machine's screen as PNG.

QEMU writes PPM, some libvirts PNG. (ppm(5); PNG specification, third edition)
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from vms.errors import Unavailable
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.domain.domain import Domain

_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = re.compile(rb"P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s")
_BLOCK_BYTES = 1 << 18
_EIGHT_BITS, _RGB = 8, 2


def take(domain: Domain, screen: int = 0) -> bytes:
    """Return the screen as PNG. Raises MachineError, also for a machine without a screen."""
    picture = bytearray()
    with translate_errors(f"Can't take a screenshot of {domain.name}"):
        stream = domain.handle.connect().newStream(0)
        domain.handle.screenshot(stream, screen, 0)
        while block := stream.recv(_BLOCK_BYTES):
            picture += block
        stream.finish()
    return bytes(picture) if picture.startswith(_PNG) else png(bytes(picture))


def png(picture: bytes) -> bytes:
    """Return a binary PPM picture as PNG. Raises MachineError for another format."""
    head = _HEAD.match(picture)
    if not head:
        raise Unavailable("The screenshot is in an unknown format, neither PNG nor PPM.")
    width, height = int(head[1]), int(head[2])
    pixels, row = picture[head.end() :], 3 * width
    if len(pixels) != row * height:
        raise Unavailable("The screenshot is incomplete: try again.")
    lines = b"".join(b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    header = struct.pack(">IIBBBBB", width, height, _EIGHT_BITS, _RGB, 0, 0, 0)
    return (
        _PNG
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    length = struct.pack(">I", len(content))
    return length + kind + content + struct.pack(">I", zlib.crc32(kind + content))

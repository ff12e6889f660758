"""Conversion of screenshots to PNG."""

from __future__ import annotations

import struct
import zlib

import pytest

from vms import MachineError
from vms.operations import screenshot


def test_a_screenshot_is_converted_to_png() -> None:
    rows = [bytes([200, 100, 50] * 2), bytes([0, 1, 2] * 2), bytes([9] * 6)]
    png = screenshot.png(b"P6\n# drawn\n2 3\n255\n" + b"".join(rows))
    assert struct.unpack(">II", png[16:24]) == (2, 3)
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    assert zlib.decompress(png[at + 4 : at + 4 + length]) == b"".join(b"\0" + row for row in rows)
    with pytest.raises(MachineError, match="incomplete"):
        screenshot.png(b"P6 2 3 255\n" + rows[0])
    with pytest.raises(MachineError, match="unknown format"):
        screenshot.png(b"GIF89a")

"""Files copied out of a guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vms import MachineError
from vms.guest import file_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_file_that_is_copied_in_part_is_removed(tmp_path: Path) -> None:
    class Broken:
        def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
            yield b"half"
            raise MachineError(f"In the machine: {path}: it broke.")

    with pytest.raises(MachineError, match="it broke"):
        file_copy.copy_out(Broken(), "/f", tmp_path / "f")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []

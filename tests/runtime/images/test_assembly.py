"""New layers: what an error in the middle of an archive leaves."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest

from runtime.images import assembly, compression, layer_diff
from runtime.images.compression import Packed
from runtime.images.imported import bootstrap
from runtime.images.store import Store
from tests.runtime.open_files import nothing_left_open


def full(pieces: Iterable[bytes], _: IO[bytes]) -> Packed:
    """Read the head of an archive, then fail as on a full disk."""
    found = iter(pieces)
    size_bytes = 0
    while size_bytes < 2048:
        size_bytes += len(next(found))
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_archive_that_could_not_be_stored_leaves_none_of_its_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(bytes(1 << 20))
    store = Store(tmp_path / "store")
    monkeypatch.setattr(compression, "pack", full)
    with store.lease() as lease, nothing_left_open(), pytest.raises(OSError, match="space") as held:
        assembly.add_layer(store, lease, layer_diff.archive(tmp_path / "tree"))
    assert held.value.errno == errno.ENOSPC  # what raised it is still held
    assert not list((store.directory / "partial").iterdir())


def test_a_program_whose_output_could_not_be_stored_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(compression, "pack", full)
    store = Store(tmp_path / "store")
    with nothing_left_open(), pytest.raises(OSError, match="space") as held:
        bootstrap(store, "debian:bookworm", ["base:1"])
    assert held.value.errno == errno.ENOSPC

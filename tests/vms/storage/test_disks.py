"""Disk images made from a tree, cloned and compressed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from vms import MachineError
from vms.storage import disks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-img") or not shutil.which("mke2fs"),
    reason="qemu-utils or e2fsprogs is not installed",
)


def test_a_disk_contains_its_tree_and_a_clone_is_thin(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"tonnage" * 100_000)
    base, thin, small = (tmp_path / name for name in ("base.qcow2", "thin.qcow2", "small.qcow2"))
    disks.build_disk(tree, base, 64 << 20)
    assert not base.with_suffix(".raw").exists()
    disks.clone(base, thin)
    disks.compress(base, small)
    assert thin.stat().st_blocks * 512 < 1 << 20 < base.stat().st_blocks * 512
    assert small.stat().st_size < base.stat().st_size
    compared = subprocess.run(["qemu-img", "compare", "-q", str(thin), str(small)], check=False)
    assert compared.returncode == 0
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(thin), str(raw)], check=True)
    assert b"tonnage" * 100 in raw.read_bytes()


def test_a_missing_file_or_tool_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MachineError, match="There is no disk image"):
        disks.clone(tmp_path / "nowhere", tmp_path / "clone")
    with pytest.raises(MachineError, match="mke2fs failed"):
        disks.build_disk(tmp_path / "nowhere", tmp_path / "disk.qcow2", 1 << 20)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-get install e2fsprogs"):
        disks.build_disk(tmp_path, tmp_path / "disk.qcow2", 1 << 20)
    assert list(tmp_path.iterdir()) == []

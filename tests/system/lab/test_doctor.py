"""The doctor on the real host: the KVM probe boots a guest, and tuning is undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.host import tuning
from lab.paths import cache_directory
from lab.userland import guest_kernel, kvm_probe
from tests.cgroup_tree import cgroups_named

pytestmark = pytest.mark.root


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a cache with a built guest and without a stored verdict."""
    guest_kernel.probe_machine(lambda _: None)
    for part in cache_directory().iterdir():
        if part.is_dir() and not part.name.startswith((".", "s")):
            (tmp_path / part.name).symlink_to(part)
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))
    return tmp_path


def doctor(*arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "lab", "doctor", "--format", "json", *arguments],
        capture_output=True,
        timeout=60,
        check=True,
    )
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def guests_of(cache: Path) -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"qemu-system" in line and bytes(cache) in line:
            lines.append(line.decode())
    return lines


def test_kvm_is_probed_once_within_its_deadline_and_no_guest_is_left(fresh: Path) -> None:
    began = time.monotonic()
    first = doctor()
    assert time.monotonic() - began < 2 * kvm_probe.DEADLINE_SECONDS + 20
    assert guests_of(fresh) == []
    assert first["kvm"]["reason"]
    works = first["kvm"]["works"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        assert works is False
        return
    assert works in {True, False}
    assert (first["accelerator"], first["emulated"]) == (("kvm", False) if works else ("tcg", True))

    stored = (fresh / "kvm.json").stat()
    assert doctor()["kvm"] == first["kvm"]
    assert (fresh / "kvm.json").stat().st_mtime_ns == stored.st_mtime_ns


def test_root_has_the_requirements_of_containers() -> None:
    by_name = {fact["name"]: fact for fact in doctor("--accel", "tcg")["facts"]}
    assert by_name["overlay file system"]["state"] == "ok"
    assert by_name["cgroups"]["state"] == "ok"
    assert not cgroups_named("tonnage-doctor-*")
    assert not list(cache_directory().glob("tonnage-doctor-*"))


def test_tuning_is_undone() -> None:
    stored = Path("/") / tuning.STORE
    if stored.exists():
        pytest.skip("this host is tuned already, which the test must not undo")
    before = [(each.name, each.now) for each in tuning.look()]
    try:
        changes = tuning.apply()
    except LabError as error:
        pytest.skip(f"this host can't be tuned: {error}")
    try:
        assert "would help" not in {each.state for each in tuning.look()}
        assert stored.exists() == bool(changes)
    finally:
        tuning.undo()
    assert [(each.name, each.now) for each in tuning.look()] == before
    assert not stored.exists()

"""Machines by other ways: their command lines and absences, as far as they can be told unrun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plausible import write

import vms
from lab import results, run, summary, targets
from lab.targets import uml

MACHINE = vms.Machine(
    name="tonnage-box-1-0",
    vcpus=2,
    memory_mib=96,
    accelerator=vms.Accelerator.TCG,
    chipset="microvm",
    boot=vms.DirectKernel(Path("/k"), Path("/i"), "quiet TONNAGE_ROOT=/dev/vda"),
    disks=(vms.Disk(Path("/d")),),
    channels=("tonnage.events", "tonnage.agent"),
)


def program(directory: Path, name: str) -> None:
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but qemu-img on it, for a user who seems to be root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "qemu-img")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def test_a_kernel_as_a_process_gets_disk_network_and_lines() -> None:
    numbers = {"console": 5, "tonnage.events": 6, "tonnage.agent": 7}
    words = uml.command_line(MACHINE, Path("/base"), Path("/where"), numbers)
    assert words[0] == "/k"
    assert {
        "mem=96M", "initrd=/i", "ubd0=/d,/base", "umid=tonnage-box-1-0", "uml_dir=/where",
        "con0=fd:0,fd:1", "ssl1=fd:6", "ssl2=fd:7", "quiet", "TONNAGE_ROOT=/dev/vda",
    } <= set(words)  # fmt: skip


def test_user_mode_linux_is_absent_with_its_package(path: Path) -> None:
    cls = targets.find("uml")
    assert cls.absent() == "linux.uml is not installed: apt-get install user-mode-linux"
    program(path, "linux.uml")
    assert cls.absent() in {"", "this host has no /dev/net/tun"}


def test_the_quick_profile_leaves_other_machines_out() -> None:
    present, absent = run._choose(None, "quick")
    assert not set(targets.FULL_ONLY) & {*present, *absent}
    present, absent = run._choose(None, "full")
    assert set(targets.FULL_ONLY) <= {*present, *absent}
    assert all(absent.values())


def test_what_runs_without_kvm_is_not_called_emulated(tmp_path: Path) -> None:
    record = results.load(write(tmp_path / "run", accelerator="tcg"))
    assert summary.label("uml", record) == "uml"
    assert summary.label("microvm", record) == "microvm (emulated)"

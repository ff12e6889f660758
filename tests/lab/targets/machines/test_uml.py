"""User-mode-linux: its command line, and why it is absent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.network import tap
from lab.targets.machines import uml
from tests.lab.programs import program
from tests.lab.targets.machines.described import MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _not_probed() -> Iterator[None]:
    """Forget the result of the probe before and after each test."""
    uml._incompatibility.cache_clear()
    yield
    uml._incompatibility.cache_clear()


def test_the_command_line_has_disk_network_and_serial_lines() -> None:
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


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("first-instruction 1", ""),
        ("Kernel panic - no room", "its kernel panics on this CPU: Kernel panic - no room"),
    ],
)
def test_user_mode_linux_is_absent_where_its_kernel_panics(
    output: str, reason: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "linux.uml", f"echo '{output}'")
    monkeypatch.setattr(tap, "absent", lambda: "")
    monkeypatch.setattr(uml, "build_payload", lambda _: path / "qemu-img")
    assert targets.find("uml").absent() == reason


def test_user_mode_linux_is_absent_without_tap_devices(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "linux.uml")
    monkeypatch.setattr(tap, "absent", lambda: "this host has no /dev/net/tun")
    assert targets.find("uml").absent() == "this host has no /dev/net/tun"

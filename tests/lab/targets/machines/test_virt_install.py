"""virt-install: why it is absent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab import targets
from tests.lab.programs import program

if TYPE_CHECKING:
    pass


def test_virt_install_is_absent_with_its_package(path: Path) -> None:
    cls = targets.find("virt-install")
    program(path, "qemu-system-x86_64")
    assert cls.absent() == "virt-install is not installed: apt-get install virtinst"
    program(path, "virt-install")
    program(path, "libvirtd")
    assert cls.absent() == ""

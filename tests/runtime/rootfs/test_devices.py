"""Default devices, and files of the image in the place of devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import InvalidConfig, Unavailable
from runtime.launcher.program import Program
from runtime.rootfs.default_devices import with_defaults
from runtime.rootfs.devices import check_existing, open_sources
from runtime.rootfs.mount_sources import SourceOpener
from runtime.spec.config import Device

NULL = Device(path="/dev/null", type="c", major=1, minor=3)


def test_a_configured_device_replaces_a_default() -> None:
    own = Device(path="/dev//null", type="c", major=1, minor=3, file_mode=0o600)
    devices = with_defaults((own,))
    assert devices["/dev/null"] is own
    assert {"/dev/zero", "/dev/tty"} <= devices.keys()


def test_another_file_of_the_image_is_refused() -> None:
    check_existing([("/dev/null", NULL)], lambda _: None)
    check_existing([("/dev/null", NULL)], lambda path: Path(path).stat())
    with pytest.raises(InvalidConfig, match="another file at /dev/null"):
        check_existing([("/dev/null", NULL)], lambda _: Path("/etc/passwd").stat())
    with pytest.raises(InvalidConfig, match="another file at /dev/null"):
        check_existing([("/dev/null", NULL)], lambda _: Path("/dev/zero").stat())


def test_a_device_that_the_host_lacks_is_unavailable() -> None:
    opener = SourceOpener(Program())
    assert open_sources(opener, [("/dev/null", NULL)]).keys() == {"/dev/null"}
    absent = Device(path="/dev/none", type="c", major=os.major(0xFFF00), minor=7)
    with pytest.raises(Unavailable, match="this host has no device"):
        open_sources(opener, [("/dev/none", absent)])

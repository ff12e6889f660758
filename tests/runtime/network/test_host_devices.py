"""Names of network devices that a configuration moves into a container."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidConfig
from runtime.network import host_devices
from runtime.spec.config import NetDevice


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", ".", "..", "a b", "a\n"])
def test_a_name_that_no_device_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="can't be the name of a network device"):
        host_devices.check({name: NetDevice(name="eth0")})
    if name:
        with pytest.raises(InvalidConfig, match="can't be the name of a network device"):
            host_devices.check({"eth0": NetDevice(name=name)})


def test_two_devices_of_the_same_name_in_the_container_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="two devices have the same name"):
        host_devices.check({"a": NetDevice(name="eth0"), "eth0": NetDevice()})


def test_names_that_the_kernel_numbers_may_be_alike() -> None:
    host_devices.check({"a": NetDevice(name="eth%d"), "b": NetDevice(name="eth%d")})

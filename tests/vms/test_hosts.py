"""Hosts of libvirts, by their addresses."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from vms import MachineError, hosts


@pytest.mark.parametrize(
    ("uri", "is_local"),
    [("test:///default", True), ("qemu:///system", True), ("qemu+unix:///system?socket=/x", True),
     ("qemu+ssh://host/system", False), ("qemu://host/system", False),
     ("qemu+ext:///system?command=/x", False), ("qemu+tcp:///system", False)],
)  # fmt: skip
def test_an_address_is_local_or_not(uri: str, is_local: bool) -> None:
    assert hosts.is_local(uri) == is_local


class Libvirt:
    """An open libvirt that reports its address and its host."""

    def __init__(self, uri: str, name: str) -> None:
        self.getURI = lambda: uri
        self.getHostname = lambda: name


@pytest.mark.parametrize(
    ("address", "uri", "name", "is_here"),
    [("qemu:///system", "qemu:///system", platform.node(), True),
     ("qemu:///system", "qemu:///system", f"{platform.node()}.example.org", True),
     ("alias", "qemu+ssh://host/system", platform.node(), False),
     ("qemu+unix:///system?socket=/x", "qemu+unix:///system?socket=/x", "forwarded", False)],
)  # fmt: skip
def test_the_host_is_known_from_an_open_libvirt(
    address: str, uri: str, name: str, is_here: bool
) -> None:
    host = hosts.of(Libvirt(uri, name), address)
    assert host.is_here == is_here
    assert host.path(Path("/a")) == Path("/a")
    if is_here:
        host.require_here("No")
        assert host.path(Path("a")) == Path.cwd() / "a"
        return
    with pytest.raises(MachineError, match=r"No: .* leads to another host.*run tonnage on that"):
        host.require_here("No")
    with pytest.raises(MachineError, match=r"a is a relative path, .*another host .*absolute path"):
        host.path(Path("a"))

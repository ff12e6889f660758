"""The address and the ports of a class's servers, before any is started."""

from __future__ import annotations

import socket

import pytest

from lab.classroom import server
from lab.errors import InvalidConfig, Unavailable


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.3.2.1", "localhost"])
def test_loopback_is_allowed(address: str) -> None:
    server.checked_address(address, reachable=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.4"])
def test_other_addresses_need_an_option(address: str) -> None:
    with pytest.raises(InvalidConfig, match="--reachable-from-network"):
        server.checked_address(address, reachable=False)
    assert server.checked_address(address, reachable=True) == address


@pytest.mark.parametrize("address", ["", "example.org", "127.1", "1.2.3.4.5"])
def test_names_are_no_addresses(address: str) -> None:
    with pytest.raises(InvalidConfig, match="not an IP address"):
        server.checked_address(address, reachable=True)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port} of 127.0.0.1 can't be used"):
            server.ports("127.0.0.1", port, 1)


def test_free_ports_differ() -> None:
    assert len(set(server.ports("127.0.0.1", 0, 5))) == 5
    with pytest.raises(InvalidConfig, match="too few"):
        server.ports("127.0.0.1", 65_535, 2)

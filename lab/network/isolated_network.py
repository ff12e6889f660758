"""An isolated network for one measurement: a host side, a peer, and a wire between them.

Both sides are network namespaces that only this process holds, with all links, addresses and rules:
the host's own network is not changed, and nothing is left when the process ends. The host side has
a bridge to the wire and a second bridge behind NAT, for instances to attach to. The other side is
the peer. (network_namespaces(7), ip-link(8), iptables-extensions(8))
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.errors import Unavailable
from lab.network.namespace import enter, make
from lab.paths import PAYLOAD_IN_TREE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# The host's own links, a bridge, a bridge behind NAT, or a network stack in user space.
Way = Literal["host", "bridge", "nat", "user"]

PEER = "10.80.0.2"  # used by workloads
_BRIDGE, _NAT_BRIDGE = "br-wire", "br-nat"
_HOST, _NAT_HOST, _BITS, _MASK = "10.80.0.1", "10.81.0.1", 24, "255.255.255.0"
_NAT = "10.81.0.0/24"
_TOOLS = {"ip": "iproute2", "iptables": "iptables", "slirp4netns": "slirp4netns"}
_SLIRP_SECONDS = 10.0


def missing(way: Way) -> str:
    """Return the reason why containers can't be attached in a way; empty if they can."""
    needed = {"nat": ("ip", "iptables"), "user": ("ip", "slirp4netns")}.get(way, ("ip",))
    absent = [_TOOLS[tool] for tool in needed if not shutil.which(tool)]
    return f"{absent[0]} is not installed: apt-get install {absent[0]}" if absent else ""


class IsolatedNetwork:
    """The network; a context manager. Raise Unavailable if it can't be made.

    `host` and `peer` are descriptors of the namespaces.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._attached = 0

    def __enter__(self) -> IsolatedNetwork:
        with self._stack:
            self.host = self._namespace()
            self.peer = self._namespace()
            self._set_up()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at_host(self) -> AbstractContextManager[None]:
        """Enter the host side for the block; processes that are started there stay."""
        return enter(self.host)

    def at_peer(self) -> AbstractContextManager[None]:
        """Enter the peer for the block; processes that are started there stay."""
        return enter(self.peer)

    def bridge(self, way: Way) -> str:
        """Return the bridge for a machine's network card."""
        return _NAT_BRIDGE if way == "nat" else _BRIDGE

    def inside(self, way: Way, interface: str) -> str:
        """Return the command that configures a card inside a machine, whose image has no `ip`."""
        self._attached += 1
        by_nat = f" {PEER} {_NAT_HOST}" if way == "nat" else ""
        return f"{PAYLOAD_IN_TREE} address {interface} {self._address(way)} {_MASK}{by_nat}"

    def attach(self, pid: int, way: Way) -> None:
        """Attach the network namespace of a process, by a veth device or by slirp4netns.

        Raise Unavailable.
        """
        if way == "user":
            self._by_slirp(pid)
            return
        self._attached += 1
        link = f"veth{self._attached}"
        with enter(self.host):
            _ip(
                f"link add name {link} type veth peer name eth0 netns {pid}",
                f"link set {link} master {self.bridge(way)} up",
            )
        with Path(f"/proc/{pid}/ns/net").open("rb") as namespace, enter(namespace.fileno()):
            _ip(f"addr add {self._address(way)}/{_BITS} dev eth0", "link set eth0 up")
            if way == "nat":
                _ip(f"route add {PEER} via {_NAT_HOST}")

    def _address(self, way: Way) -> str:
        """Return the address of the latest attached instance."""
        return f"{'10.81.0' if way == 'nat' else '10.80.0'}.{10 + self._attached}"

    def _namespace(self) -> int:
        descriptor = make()
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _set_up(self) -> None:
        with enter(self.peer):
            _ip("link set lo up")
        peer = f"/proc/{os.getpid()}/fd/{self.peer}"
        with enter(self.host):
            _ip(
                "link set lo up",
                f"link add name {_BRIDGE} type bridge",
                f"link add name {_NAT_BRIDGE} type bridge",
                f"link add name wire type veth peer name eth0 netns {peer}",
                f"link set wire master {_BRIDGE} up",
                f"addr add {_HOST}/{_BITS} dev {_BRIDGE}",
                f"addr add {_NAT_HOST}/{_BITS} dev {_NAT_BRIDGE}",
                f"link set {_BRIDGE} up",
                f"link set {_NAT_BRIDGE} up",
                f"route add default via {PEER}",
            )
            if not missing("nat"):
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="utf-8")
                _run("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", _NAT, "!", "-d", _NAT,
                     "-j", "MASQUERADE")  # fmt: skip
        with enter(self.peer):
            _ip(f"addr add {PEER}/{_BITS} dev eth0", "link set eth0 up")

    def _by_slirp(self, pid: int) -> None:
        """Start slirp4netns, QEMU's user-mode stack; it exits when its pipe is closed.

        (slirp4netns(1))
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        ending, lasting = os.pipe2(os.O_CLOEXEC)
        self._stack.callback(os.close, lasting)
        with enter(self.host):
            process = subprocess.Popen(
                ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback",
                 f"--ready-fd={writing}", f"--exit-fd={ending}", str(pid), "eth0"],
                pass_fds=[writing, ending],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._stack.callback(_end, process)
        os.close(ending)
        os.close(writing)
        try:
            ready = select.select([reading], [], [], _SLIRP_SECONDS)[0] and os.read(reading, 1)
        finally:
            os.close(reading)
        if not ready:
            raise Unavailable(
                f"slirp4netns did not attach the container within {_SLIRP_SECONDS:.0f} s."
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _ip(*commands: str) -> None:
    for words in commands:
        _run("ip", *words.split())


def _run(*argv: str) -> None:
    try:
        result = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError as error:
        raise Unavailable(
            f"{argv[0]} is not installed: apt-get install {_TOOLS[argv[0]]}."
        ) from error
    if result.returncode:
        raise Unavailable(f"{' '.join(argv)} failed: {result.stderr.strip()}.")

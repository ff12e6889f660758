"""A network for one measurement: two hosts on a wire, and what instances are attached to it by.

Both are network namespaces that only this process holds, with all links, addresses and rules that
are made: the host's own are not touched, and nothing is left when the process ends. One is the host
of the instances, with a bridge into which the wire leads, and a second bridge behind NAT. The other
is the peer. (network_namespaces(7), ip-link(8), iptables-extensions(8))
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from lab.errors import LabError
from lab.network.namespace import enter, make
from lab.paths import PAYLOAD_IN_TREE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# By the host's own links, on a bridge, behind NAT, or by a network stack in user space.
Way = Literal["host", "bridge", "nat", "user"]
WAYS: tuple[Way, ...] = get_args(Way)

PEER = "10.80.0.2"  # workloads name it
_BRIDGE, _NAT_BRIDGE = "br-wire", "br-nat"
_HOST, _NAT_HOST, _BITS, _MASK = "10.80.0.1", "10.81.0.1", 24, "255.255.255.0"
_NAT = "10.81.0.0/24"
_TOOLS = {"ip": "iproute2", "iptables": "iptables", "slirp4netns": "slirp4netns"}
_SLIRP_SECONDS = 10.0


def missing(way: Way) -> str:
    """What keeps containers from being attached that way here; empty if nothing does."""
    needed = {"nat": ("ip", "iptables"), "user": ("ip", "slirp4netns")}.get(way, ("ip",))
    absent = [_TOOLS[tool] for tool in needed if not shutil.which(tool)]
    return f"{absent[0]} is not installed: apt-get install {absent[0]}" if absent else ""


class IsolatedNetwork:
    """The network; a context manager. Raises LabError if the host grants none.

    Its `host` and `peer` are descriptors of the namespaces.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._attached = 0

    def __enter__(self) -> IsolatedNetwork:
        with self._stack:
            self.host = self._namespace()
            self.peer = self._namespace()
            self._lay()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at_host(self) -> AbstractContextManager[None]:
        """What is started meanwhile runs on the host's side."""
        return enter(self.host)

    def at_peer(self) -> AbstractContextManager[None]:
        """What is started meanwhile runs on the peer."""
        return enter(self.peer)

    def bridge(self, way: Way) -> str:
        """The bridge that a machine's card is put on."""
        return _NAT_BRIDGE if way == "nat" else _BRIDGE

    def inside(self, way: Way, interface: str) -> str:
        """The command that a machine runs to be attached by that card: its image has no `ip`."""
        self._attached += 1
        by_nat = f" {PEER} {_NAT_HOST}" if way == "nat" else ""
        return f"{PAYLOAD_IN_TREE} address {interface} {self._address(way)} {_MASK}{by_nat}"

    def attach(self, pid: int, way: Way) -> None:
        """Attach the network namespace of a process, by a virtual card or by slirp4netns."""
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
        """That of the latest that was attached."""
        return f"{'10.81.0' if way == 'nat' else '10.80.0'}.{10 + self._attached}"

    def _namespace(self) -> int:
        descriptor = make()
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _lay(self) -> None:
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
        """The stack that QEMU has built in; it ends with the pipe. (slirp4netns(1))"""
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
            raise LabError("slirp4netns did not attach the container.")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _ip(*commands: str) -> None:
    for words in commands:
        _run("ip", *words.split())


def _run(*argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is missing: apt-get install {_TOOLS[argv[0]]}.") from error
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed: {done.stderr.strip()}.")

"""The isolated network: every way reaches the peer, and nothing is left afterwards."""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.network import isolated_network
from lab.network.isolated_network import PEER, IsolatedNetwork, Way
from lab.network.namespace import enter
from lab.paths import PAYLOAD_IN_TREE, cache_directory
from lab.targets import find
from lab.targets.base import VOLUME, Settings
from lab.userland import build, root_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 17399


@contextmanager
def alone() -> Iterator[int]:
    """Start a process in a new network namespace, and yield its pid."""
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as process:
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
            time.sleep(0.01)
        yield process.pid
        process.kill()


def needs(way: Way) -> None:
    if why := isolated_network.missing(way):
        pytest.skip(why)


def interfaces() -> set[str]:
    """Return the network interfaces of this thread's namespace."""
    return {line.partition(":")[0].strip() for line in Path("/proc/thread-self/net/dev").open()}


@pytest.mark.parametrize(
    ("way", "seen"), [("bridge", "10.80.0.11"), ("nat", "10.80.0.1"), ("user", "10.80.0.1")]
)
def test_each_way_reaches_the_peer_from_its_own_address(way: Way, seen: str) -> None:
    needs(way)
    with IsolatedNetwork() as network, alone() as pid:
        network.attach(pid, way)
        with network.at_peer():
            listener = socket.create_server((PEER, PORT))
        with listener, Path(f"/proc/{pid}/ns/net").open("rb") as inside:
            with enter(inside.fileno()):
                client = socket.create_connection((PEER, PORT), timeout=5)
            with client:
                connection, (address, _) = listener.accept()
                connection.close()
        assert address == seen
        assert not {"wire", "br-wire", "br-nat"} & interfaces()


def test_the_network_ends_with_a_process_that_is_killed() -> None:
    needs("user")
    script = (
        "import sys\nfrom lab.network.isolated_network import IsolatedNetwork\n"
        "with IsolatedNetwork() as made:\n"
        "    made.attach(int(sys.argv[1]), 'user')\n    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with alone() as pid:
        holder = subprocess.Popen(
            [sys.executable, "-c", script, str(pid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        assert helpers(pid)
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        deadline = time.monotonic() + 5
        while helpers(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not helpers(pid)


def helpers(pid: int) -> list[str]:
    """Return the pids of slirp4netns processes that serve a process."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"slirp4netns" and str(pid).encode() in words:
            pids.append(path.parent.name)
    return pids


@pytest.mark.parametrize("name", ["native", "container"])
def test_files_on_a_volume_are_on_the_host(name: str, tmp_path: Path) -> None:
    cache = cache_directory()
    tree = root_tree.build_tree(lambda _: None)
    payload = tree / PAYLOAD_IN_TREE.lstrip("/")
    land = build.Userland(payload, tree, *[cache for _ in fields(build.Userland)][2:])
    script = f"echo kept >{VOLUME}/said"
    run = (
        "import sys, pickle\nfrom lab.targets import find\n"
        "name, settings, script = pickle.load(sys.stdin.buffer)\n"
        "with find(name)(settings) as target, target.attached('volume') as instance:\n"
        "    instance.reached('ready')\n"
        "    sys.exit(instance.run(['sh', '-c', script], 20).exit_code)\n"
    )
    settings = Settings(land, tmp_path, "tcg")
    result = subprocess.run(
        [sys.executable, "-c", run], input=pickle.dumps((name, settings, script)),
        capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (written,) = tmp_path.rglob("volume/said")
    assert written.read_text() == "kept\n"
    assert "volume" in find(name).attachments

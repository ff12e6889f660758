"""`tonnage vm ssh` logs in to a real server in a machine that runs in the foreground."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import build
from vms import MachineError
from vms.guest.tonnage_agent import Agent
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not shutil.which("ssh"), reason="ssh is not installed: apt-get install openssh-client"
    ),
]
TONNAGE = str(Path(sys.executable).with_name("tonnage"))
BOOT_SECONDS, SSH_SECONDS = 90.0, 60.0
SERVER = (
    "mkdir -p /etc/dropbear /root/.ssh && cat >/root/.ssh/authorized_keys && chmod -R go= /root"
)


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """Yield a state directory with an image that has an ssh server, and with a key for it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        land = build.build(lambda _: None, ("dropbear-bin",))
        words = "console=ttyS0 quiet panic=-1 TONNAGE_ROOT=/dev/vda"
        Store(Path(path) / "images").add(
            "small", "a test", land.disk, land.kernel, land.initramfs, words
        )
        key = f"{path}/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        yield Path(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def serving(state: Path, *words: str) -> Iterator[Path]:
    """Run a machine with the server, and yield the root of its process."""
    with subprocess.Popen(
        [TONNAGE, "vm", "run", "small", "--name", "web", "--accel", "tcg", "--memory", "128",
         "--machine", "microvm", *words],
        env={**os.environ, "TONNAGE_STATE": str(state)},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            root = state / "r" / str(process.pid)
            agent = connected_agent(root / "s/web.2")
            key = (state / "key.pub").read_bytes()
            assert agent.run(["sh", "-c", SERVER], 30, stdin=key).exit_code == 0
            assert agent.run(["dropbear", "-R", "-p", "22"], 60).exit_code == 0
            agent.close()
            yield root
        finally:
            process.terminate()


def connected_agent(path: Path) -> Agent:
    """Return the agent at a socket, once it answers."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        with suppress(MachineError, OSError):
            agent = Agent(path)
            if agent.answers(5):
                return agent
            agent.close()
        time.sleep(0.5)
    raise AssertionError(f"no agent answers at {path}")


def ssh(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TONNAGE, "vm", "ssh", *words], env={**os.environ, "TONNAGE_STATE": str(state)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SSH_SECONDS,
    )  # fmt: skip


def test_ssh_uses_the_forwarded_port_and_checks_the_host_key(state: Path) -> None:
    with serving(state, "-p", f"{free_port()}:22") as root:
        words = ["root@web", "-i", str(state / "key"), "-c"]
        result = ssh(state, *words, "echo in; exit 3")
        assert (result.stdout, result.returncode) == ("in\n", 3), result.stderr
        known = (root / "known_hosts").read_text()
        # A changed host key may be that of an attacker.
        other = (state / "key.pub").read_text().split()[:2]
        (root / "known_hosts").write_text(" ".join([known.split()[0], *other]) + "\n")
        result = ssh(state, *words, "true")
        assert result.returncode == 255
        assert "HOST IDENTIFICATION HAS CHANGED" in result.stderr


def test_without_a_forwarded_port_ssh_is_one_sentence(state: Path) -> None:
    with serving(state):
        result = ssh(state, "root@web", "-c", "true")
    assert result.returncode == 2
    assert "Port 22 of web can't be reached from this host" in result.stderr
    assert "-p 2222:22" in result.stderr

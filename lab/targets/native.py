"""A plain process without isolation: the baseline of the other targets.

Its commands run in a chroot of the common user land, so that binaries and libraries are the same as
in other targets. The tree is bound read-only in the worker's own mount namespace, with the host's
/proc, /sys and /dev, and with a scratch directory on the host's disk at /tmp.

The payload serves in the host's network namespace, where port 7000 must be free. A network
namespace of its own would have default sysctls and no netfilter rules, so that its figures would
not be those of a program on this host.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, get_args

from lab.host import mount_namespace, processes
from lab.targets import environment, peer_servers
from lab.targets.base import VOLUME, Attachment, Kind, Target
from lab.targets.payload_pipes import PayloadPipes, PipeInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.network.isolated_network import IsolatedNetwork
    from lab.targets.base import Allotment, Settings


class NativeInstance(PipeInstance):
    """The payload as a child process of the worker."""

    process: subprocess.Popen[bytes]
    target: Native

    def payload_pid(self) -> int:
        """Return the pid of the child process."""
        return self.process.pid

    def pids(self) -> list[int]:
        """Return the payload's pid; there are no other processes."""
        return [self.process.pid]

    def stop(self) -> None:
        """Kill and reap the payload, and the processes of its commands."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.target.children.discard(self.process.pid)
        processes.end_orphans(self.target.children)
        self.pipes.close()


class Native(Target):
    """A plain child process."""

    name = "native"
    image_refusal = "a plain process has no root file system of its own"
    kind: Kind = "native"
    attachments: tuple[Attachment, ...] = get_args(Attachment)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._root: Path = settings.scratch / "native" / "root"
        self.children: set[int] = set()  # of the worker, without orphans of a payload

    @classmethod
    def absent(cls) -> str:
        """Return an empty reason: a plain process can always be started."""
        return ""

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Return nothing: mounts end with the worker, and payloads with their stdin."""
        return []

    def prepare(self) -> None:
        """Bind the user land's tree in a mount namespace of the worker.

        The mounts are detached at the end: removing the scratch directory in this mount namespace
        must not reach the host's /dev through them.
        """
        scratch = self.settings.scratch / "native" / "tmp"
        volume = self.settings.scratch / "native" / "volume"
        for directory in (scratch, volume):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o1777)
        self._root.mkdir(exist_ok=True)
        processes.adopt_orphans()
        mount_namespace.enter_private_mount_namespace()
        mount_namespace.bind(self.settings.userland.tree, self._root, read_only=True)
        self.resources.callback(mount_namespace.unmount, self._root)
        mount_namespace.bind(scratch, self._root / "tmp")
        mount_namespace.bind(volume, self._root / VOLUME.lstrip("/"))
        for shared in ("proc", "sys", "dev"):
            mount_namespace.bind(f"/{shared}", self._root / shared)
        self.resources.callback(self._end_all)

    def _end_all(self) -> None:
        """Kill the remaining processes while /proc is still mounted."""
        for pid in self.children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        processes.end_orphans(set())

    def start(self, allotment: Allotment | None = None) -> NativeInstance:
        """Spawn the payload; the allotment is ignored, since a plain process has no limits."""
        pipes = PayloadPipes()
        t0_ns = time.monotonic_ns()
        process = subprocess.Popen(
            [self.settings.userland.payload, "serve", "native", "--chroot", self._root],
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            env=environment.DECLARED.variables,
            cwd=environment.DECLARED.directory,
        )
        pipes.hand_over()
        instance = NativeInstance(self.name, t0_ns, pipes, self.settings.start_deadline_seconds)
        instance.process, instance.target = process, self
        self.children.add(process.pid)
        return instance

    @contextmanager
    def attached(
        self,
        attachment: Attachment,
        allotment: Allotment | None = None,
        network: IsolatedNetwork | None = None,
    ) -> Iterator[NativeInstance]:
        """Start an instance on the host's side of the network; a volume is always mounted.

        Every network attachment uses the host's own links.
        """
        with ExitStack() as stack:
            if attachment != "volume":
                if network is None:
                    network = stack.enter_context(peer_servers.network_with_peer(self.settings))
                stack.enter_context(network.at_host())
                peers = processes.children() - self.children
                self.children |= peers
                stack.callback(self.children.difference_update, peers)
            yield stack.enter_context(self.start(allotment))

    def image_bytes(self) -> dict[str, int]:
        """Return nothing: an installed program has no image."""
        return {}

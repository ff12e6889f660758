"""The program itself, with no isolation: the yardstick.

Its commands run in a chroot of the common user land, so that they are the same binaries with the
same libraries; the tree is bound read-only in the worker's own mount namespace, with the host's
/proc, /sys and /dev, and a scratch directory on the host's disk at /tmp.
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
    """The payload as a child of the worker."""

    process: subprocess.Popen[bytes]
    target: Native

    def payload_pid(self) -> int:
        """Its own pid: nothing stands between."""
        return self.process.pid

    def pids(self) -> list[int]:
        """The payload alone."""
        return [self.process.pid]

    def stop(self) -> None:
        """Kill it and reap it, with what a command of it was still running."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.target.children.discard(self.process.pid)
        processes.end_orphans(self.target.children)
        self.pipes.close()


class Native(Target):
    """A plain child process."""

    name = "native"
    kind: Kind = "native"
    attachments: tuple[Attachment, ...] = get_args(Attachment)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._root: Path = settings.scratch / "native" / "root"
        self.children: set[int] = set()  # the worker's, without orphans of a payload

    @classmethod
    def absent(cls) -> str:
        """Nothing is missing for it."""
        return ""

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Its mounts die with the worker, and its process with the pipe that it reads."""
        return []

    def prepare(self) -> None:
        """Bind the user land's tree where the worker alone sees it.

        All of it is detached by close: whoever removes the scratch directory in this mount
        namespace must not reach the host's /dev by it.
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
        """End what still runs when the worker does, before its /proc is gone."""
        for pid in self.children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        processes.end_orphans(set())

    def start(self, allotment: Allotment | None = None) -> NativeInstance:
        """Spawn the payload. No allotment binds it: that is what native means."""
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
        wires: IsolatedNetwork | None = None,
    ) -> Iterator[NativeInstance]:
        """By the host's own links, whichever way is asked for; the volume is there anyway."""
        with ExitStack() as stack:
            if attachment != "volume":
                wires = wires or stack.enter_context(peer_servers.wires(self.settings))
                stack.enter_context(wires.at_host())
                peers = processes.children() - self.children
                self.children |= peers
                stack.callback(self.children.difference_update, peers)
            yield stack.enter_context(self.start(allotment))

    def image_bytes(self) -> dict[str, int]:
        """A program that is installed has no image of its own."""
        return {}

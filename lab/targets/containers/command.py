"""Containers by another tool's command line: what the peers share.

An instance is one `run` command in the foreground, with the payload's pipes as its stdin and
stdout; its stderr goes to a file, whose last words explain a start that failed. Everything that an
instance needs of its own is made before t0, so that only the tool is timed.

Every name starts with `tonnage-` and carries the worker's pid, by which `clean` tells what was left
behind from what is still in use.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError, StartFailed
from lab.host import mount_namespace, processes
from lab.host.disk_usage import allocated_bytes
from lab.paths import PAYLOAD_IN_TREE
from lab.targets import leftovers
from lab.targets.base import Allotment, Kind, Target
from lab.targets.payload_pipes import PayloadPipes, PipeInstance
from lab.targets.programs import last_words
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lab.metrics import Milestone
    from lab.targets.base import Instance, Settings

STOP_SECONDS = 20.0
_KILLED = 128 + signal.SIGKILL


class CommandInstance(PipeInstance):
    """The payload in a container that a tool's `run` started."""

    process: subprocess.Popen[bytes]

    def __init__(
        self, target: CommandTarget, identity: str, t0_ns: int, pipes: PayloadPipes, last_pid: int
    ) -> None:
        super().__init__(target.name, t0_ns, pipes, target.settings.start_deadline_seconds)
        self.target = target
        self.identity = identity
        self.directory = target.instances / identity
        self._last_pid = last_pid
        self._payload_pid = 0
        self._stopped = False

    def reached(self, milestone: Milestone) -> int | None:
        """As every payload on pipes; a failure says what the tool said."""
        try:
            reached_ns = super().reached(milestone)
        except StartFailed as failure:
            if said := self._last_words():
                raise StartFailed(f"{self.name} did not start: {said}") from failure
            raise
        if milestone == "ready":
            self.target.settle(self.directory)
        return reached_ns

    def payload_pid(self) -> int:
        """The payload's pid on the host, found among the processes that came after t0.

        This takes a fraction of a millisecond, where asking the tool would add tens of them to
        `ready`. Raises LabError.
        """
        if not self._payload_pid:
            wanted = f"{PAYLOAD_IN_TREE}\0serve\0{self.identity}\0".encode()
            for pid in processes.pids_after(self._last_pid):
                if processes.command_line(pid) == wanted:
                    self._payload_pid = pid
                    break
            else:
                raise LabError(f"No process of {self.identity} can be seen on this host.")
        return self._payload_pid

    def pids(self) -> list[int]:
        """The payload, what watches over it (shim, conmon, the runtime), and the client."""
        pids = [self.process.pid]
        with contextlib.suppress(LabError, FileNotFoundError):
            payload = self.payload_pid()
            pids += [payload, processes.parent(payload)]
        return [pid for pid in dict.fromkeys(pids) if pid > 1]

    def stop(self) -> None:
        """Kill it by the tool, and return when process, cgroup and state are gone.

        Raises LabError if a process outlives it.
        """
        if self._stopped:
            return
        self._stopped = True
        with contextlib.ExitStack() as stack:
            watched = list(processes.handles(stack, self.pids()))
            self._end()
            self.pipes.close()
            deadline_ns = time.monotonic_ns() + int(STOP_SECONDS * 1e9)
            if not all(processes.ended(handle, deadline_ns) for handle in watched):
                raise LabError(f"{self.identity} was killed, but a process of it is still there.")
        self.target.discard(self.directory)

    def _end(self) -> None:
        if self.process.poll() is None:
            self._tell(self.target.kill_words)
        try:
            exit_code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            exit_code = self.process.wait()
        if exit_code != _KILLED:  # it ended in another way, so the tool may not have cleaned up
            self._tell(self.target.remove_words)

    def _tell(self, words: Callable[[str], Sequence[str]]) -> None:
        """Say it to the tool, and leave it at that if it does not listen."""
        with contextlib.suppress(LabError):
            self.target.tool(*words(self.identity), check=False, deadline_seconds=STOP_SECONDS)

    def _last_words(self) -> str:
        """What the tool said last, if it has ended."""
        try:
            self.process.wait(1.0 if self.process.poll() is None else 0.0)
        except subprocess.TimeoutExpired:
            return ""
        return last_words((self.directory / "stderr").read_bytes())


class CommandTarget(Target):
    """A tool that runs a container by a command."""

    kind: Kind = "container"
    command: tuple[str, ...]

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._numbers = itertools.count()
        self.family = f"tonnage-{self.name}-{os.getpid()}"
        self.directory = settings.scratch / self.family
        self.instances = self.directory / "i"

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """End and remove what dead workers of the tool left."""
        return leftovers.clean(cls.name, scratch)

    @abstractmethod
    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """The words after `command` that run the payload; makes what they name."""

    def kill_words(self, identity: str) -> Sequence[str]:
        """The words that end it at once."""
        return "kill", identity

    def remove_words(self, identity: str) -> Sequence[str]:
        """The words that remove it whatever its state."""
        return "rm", "--force", identity

    def settle(self, directory: Path) -> None:
        """Undo what an instance needed only to start."""

    def discard(self, directory: Path) -> None:
        """Remove an instance's folder."""
        shutil.rmtree(directory)

    def prepare(self) -> None:
        """Make the folder of all that this worker makes."""
        self.instances.mkdir(parents=True)
        self.resources.callback(leftovers.remove_cgroups, self.family)
        self.resources.callback(leftovers.remove_folder, self.directory)

    def cover(self, *directories: str) -> None:
        """Lay empty file systems over directories in which a tool keeps things come what may.

        Only in the worker's own mount namespace, and until close: the host sees nothing of them.
        """
        for path in map(Path, directories):
            if not path.exists():
                path.mkdir(parents=True)
                self.resources.callback(locks.remove_if_unused, path)
                leftovers.note(self.directory, path)
            self.resources.enter_context(locks.shared(path))
            mount_namespace.mount("tmpfs", path, f"mode={path.stat().st_mode & 0o7777:o}")
            self.resources.callback(mount_namespace.unmount, path)

    def start(self, allotment: Allotment | None = None) -> CommandInstance:
        """Spawn the tool's `run`."""
        identity = f"{self.family}-{next(self._numbers)}"
        directory = self.instances / identity
        directory.mkdir()
        argv = [*self.command, *self.run_words(identity, allotment or Allotment())]
        with (directory / "stderr").open("wb") as stderr:
            pipes = PayloadPipes()
            last_pid = processes.last_pid()
            t0_ns = time.monotonic_ns()
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=pipes.stdin,
                    stdout=pipes.stdout,
                    stderr=stderr,
                    process_group=0,  # Ctrl-C is the worker's parent's to handle
                )
            except OSError as error:
                pipes.close()
                self.discard(directory)
                raise StartFailed(f"Can't run {self.command[0]}: {error.strerror}.") from error
            finally:
                pipes.hand_over()
        instance = CommandInstance(self, identity, t0_ns, pipes, last_pid)
        instance.process = process
        return instance

    def tool(self, *words: str, check: bool = True, deadline_seconds: float | None = None) -> str:
        """What the tool prints for these words.

        Raises LabError with the tool's last words if it fails and `check` is set, or hangs.
        """
        try:
            done = subprocess.run(
                [*self.command, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=deadline_seconds or self.settings.prepare_deadline_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"{self.name} {words[0]} did not end within {error.timeout:.0f} s."
            ) from error
        if check and done.returncode:
            said = last_words(done.stderr) or f"exit code {done.returncode}"
            raise LabError(f"{self.name} {words[0]} failed: {said}")
        return done.stdout.decode().strip()

    def image_bytes(self) -> dict[str, int]:
        """The layer as shipped, and unpacked as this tool keeps it."""
        return {
            "image-compressed": allocated_bytes(self.settings.userland.image),
            "image-on-disk": self.unpacked_bytes(),
        }

    def unpacked_bytes(self) -> int:
        """The tree that it shares with the other targets."""
        return allocated_bytes(self.settings.userland.tree)

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Its upper layer, configuration and state."""
        assert isinstance(instance, CommandInstance)
        return sum(allocated_bytes(path) for path in self.instance_paths(instance))

    @abstractmethod
    def instance_paths(self, instance: CommandInstance) -> Iterable[Path]:
        """Files and folders that exist for this instance alone."""


def on_disk(directory: Path) -> list[Path]:
    """What lies in a directory itself, without what is mounted in it."""
    device = directory.stat().st_dev
    return [path for path in directory.iterdir() if path.lstat().st_dev == device]

"""Base of the container targets that are run by another tool's command line.

An instance is one `run` command in the foreground. Its stdin and stdout are the payload's pipes;
its stderr goes to a file, whose last line explains a failed start. Everything that an instance
needs is made before t0, so that only the tool is timed.

Every name begins with `tonnage-` and contains the worker's pid, so that `clean` can tell objects of
dead workers from objects in use.
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

from lab.errors import LabError, StartFailed, TargetFailed
from lab.host import processes
from lab.host.disk_usage import allocated_bytes
from lab.host.process_usage import members_of_cgroup
from lab.paths import IMAGE_DIRECTORY
from lab.targets import leftovers, private_directories
from lab.targets.base import Allotment, Kind, Target
from lab.targets.payload_pipes import PayloadPipes, PipeInstance
from lab.targets.programs import last_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.metrics import Milestone
    from lab.targets.base import Instance, Settings

STOP_SECONDS = 20.0
_KILLED = 128 + signal.SIGKILL


class CommandInstance(PipeInstance):
    """The payload in a container that was started by a tool's `run` command."""

    process: subprocess.Popen[bytes]

    def __init__(
        self, target: CommandTarget, identity: str, t0_ns: int, pipes: PayloadPipes, last_pid: int
    ) -> None:
        super().__init__(
            target.name,
            t0_ns,
            pipes,
            target.settings.start_deadline_seconds,
            target.settings.userland.application,
        )
        self.target = target
        self.identity = identity
        self.directory = target.instances / identity
        self._last_pid = last_pid
        self._payload_pid = 0
        self._stopped = False

    def reached(self, milestone: Milestone) -> int | None:
        """Return the time of a milestone. Raise StartFailed with the tool's own error message."""
        try:
            reached_ns = super().reached(milestone)
        except StartFailed as failure:
            if reason := self._last_words():
                raise StartFailed(f"{self.name} did not start: {reason}") from failure
            raise
        if milestone == "ready":
            self.target.settle(self.directory)
        return reached_ns

    def payload_pid(self) -> int:
        """Return the payload's pid on the host, by searching the processes started after t0.

        The search takes a fraction of a millisecond; asking the tool would add tens of milliseconds
        to `ready`. Raise TargetFailed if the process is not visible.
        """
        if not self._payload_pid:
            words = self.target.settings.userland.serve_words(self.identity)[:3]
            command_line = "".join(f"{word}\0" for word in words).encode()
            for pid in processes.pids_after(self._last_pid):
                if processes.command_line(pid).startswith(command_line):
                    self._payload_pid = pid
                    break
            else:
                raise TargetFailed(f"No process of {self.identity} is visible on this host.")
        return self._payload_pid

    def pids(self) -> list[int]:
        """Return the payload, its monitor (shim, conmon or the runtime), and the client.

        The processes of an image's application are returned as well.
        """
        pids = [self.process.pid]
        with contextlib.suppress(LabError, FileNotFoundError):
            payload = self.payload_pid()
            pids += [payload, processes.parent(payload)]
            if self._application:
                pids += members_of_cgroup(payload)
        return [pid for pid in dict.fromkeys(pids) if pid > 1]

    def stop(self) -> None:
        """Kill it by the tool; return when its processes, cgroup and state are gone.

        Raise TargetFailed if a process remains.
        """
        if self._stopped:
            return
        self._stopped = True
        with contextlib.ExitStack() as stack:
            handles = list(processes.handles(stack, self.pids()))
            self._end()
            self.pipes.close()
            deadline_ns = time.monotonic_ns() + int(STOP_SECONDS * 1e9)
            if not all(processes.ended(handle, deadline_ns) for handle in handles):
                raise TargetFailed(f"{self.identity} was killed, but one of its processes remains.")
        self.target.discard(self.directory)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.target.kill(self)
        try:
            exit_code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            exit_code = self.process.wait()
        if exit_code != _KILLED:  # it ended in another way: the tool may not have cleaned up
            self.target.attempt(*self.target.remove_words(self.identity))

    def _last_words(self) -> str:
        """Return the reason in the tool's error output, if the tool has ended."""
        try:
            self.process.wait(1.0 if self.process.poll() is None else 0.0)
        except subprocess.TimeoutExpired:
            return ""
        return self.target.error_words((self.directory / "stderr").read_bytes())


class CommandTarget(Target):
    """A target whose instances are started by a tool's command line."""

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
        """Remove the processes, cgroups and directories of dead workers."""
        return leftovers.clean(cls.name, scratch)

    @abstractmethod
    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """Return the arguments after `command` that run the payload; make the files they name."""

    def engine_words(self, image: str, identity: str) -> list[str]:
        """Return the arguments of an engine's `run` from the image on, its last options included.

        An image is run with the payload as its first process, which starts its command.
        """
        land = self.settings.userland
        payload, *words = land.serve_words(identity)
        if not land.application:
            return [image, payload, *words]
        return [
            f"--volume={land.payload.parent}:{IMAGE_DIRECTORY}:ro",
            "--user=0:0",
            "--workdir=/",
            "--no-healthcheck",
            f"--entrypoint={payload}",
            image,
            *words,
        ]

    def kill_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that kill an instance."""
        return "kill", identity

    def remove_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that remove an instance in any state."""
        return "rm", "--force", identity

    def kill(self, instance: CommandInstance) -> None:
        """Kill an instance by the tool, and ignore a failure."""
        self.attempt(*self.kill_words(instance.identity))

    def attempt(self, *words: str) -> None:
        """Run a command of the tool, and ignore a failure."""
        with contextlib.suppress(LabError):
            self.tool(*words, check=False, deadline_seconds=STOP_SECONDS)

    def error_words(self, stderr: bytes) -> str:
        """Return the reason in the tool's error output: by default its last line."""
        return last_words(stderr)

    def settle(self, directory: Path) -> None:
        """Release resources that an instance needs only while it starts."""

    def discard(self, directory: Path) -> None:
        """Remove an instance's directory."""
        shutil.rmtree(directory)

    def prepare(self) -> None:
        """Make the worker's directory."""
        self.instances.mkdir(parents=True)
        self.resources.callback(leftovers.remove_cgroups, self.family)
        self.resources.callback(leftovers.remove_folder, self.directory)

    def cover(self, *directories: str) -> None:
        """Mount empty file systems over directories that a tool uses whatever its options.

        They are mounted in the worker's mount namespace only, and until the target is closed.
        """
        private_directories.cover(self.resources, self.directory, directories)

    def start(self, allotment: Allotment | None = None) -> CommandInstance:
        """Spawn the tool's `run` command. Raise StartFailed."""
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
                    cwd=self.directory,  # where conmon leaves a file when memory runs out
                    process_group=0,  # Ctrl-C is handled by the worker's parent
                )
            except OSError as error:
                pipes.close()
                self.discard(directory)
                raise StartFailed(f"Can't run {argv[0]}: {error.strerror}.") from error
            finally:
                pipes.hand_over()
        instance = CommandInstance(self, identity, t0_ns, pipes, last_pid)
        instance.process = process
        return instance

    def tool(self, *words: str, check: bool = True, deadline_seconds: float | None = None) -> str:
        """Run a command of the tool and return its output.

        Raise TargetFailed if it hangs, or, with `check`, if it fails.
        """
        try:
            result = subprocess.run(
                [*self.command, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=self.directory,
                timeout=deadline_seconds or self.settings.prepare_deadline_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TargetFailed(
                f"{self.name} {words[0]} did not end within {error.timeout:.0f} s."
            ) from error
        if check and result.returncode:
            reason = self.error_words(result.stderr) or f"exit code {result.returncode}"
            raise TargetFailed(f"{self.name} {words[0]} failed: {reason}")
        return result.stdout.decode().strip()

    def image_bytes(self) -> dict[str, int]:
        """Return the bytes of the layers as shipped, and as this tool unpacks them."""
        return {
            "image-compressed": sum(map(allocated_bytes, self.settings.userland.packed_layers)),
            "image-on-disk": self.unpacked_bytes(),
        }

    def unpacked_bytes(self) -> int:
        """Return the bytes of the unpacked layers: by default those that targets share."""
        return sum(map(allocated_bytes, self.settings.userland.layers))

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Return the bytes of the instance's upper layer, configuration and state."""
        assert isinstance(instance, CommandInstance)
        return sum(allocated_bytes(path) for path in self.instance_paths(instance))

    @abstractmethod
    def instance_paths(self, instance: CommandInstance) -> Iterable[Path]:
        """Return the files and directories that exist for this instance only."""


def on_disk(directory: Path) -> list[Path]:
    """Return the entries of a directory that are on its own file system, not mount points."""
    device = directory.stat().st_dev
    return [path for path in directory.iterdir() if path.lstat().st_dev == device]

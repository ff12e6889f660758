"""The interface of all targets: they start instances of the payload and time their milestones.

A target runs in a worker process of its own (lab.targets.worker). Times are nanoseconds of the
host's CLOCK_MONOTONIC; t0 is the time of the request.
"""

from __future__ import annotations

import os
import socket
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from lab.errors import TargetFailed
from lab.targets import environment
from vms.guest import payload_protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lab.host.kvm import Accelerator
    from lab.metrics import Milestone
    from lab.network.isolated_network import IsolatedNetwork
    from lab.userland.build import Userland

Kind = Literal["native", "container", "machine"]
# Optional parts of an instance: a network connection to a peer (lab.network), or a volume.
Attachment = Literal["host", "bridge", "nat", "user", "volume"]
VOLUME = "/mnt"  # the volume's mount point inside

# Limits that every container gets, and whose cost it bears, but that no workload here reaches.
MEMORY_LIMIT_BYTES = 1 << 30
PIDS_LIMIT = 1024
CPUS_LIMIT = os.cpu_count() or 1
CPU_PERIOD_MICROSECONDS = 100_000


@dataclass(frozen=True, slots=True)
class Allotment:
    """The resources of an instance: CPUs (fractions as well), memory and processes.

    A machine gets whole CPUs, and its number of processes is limited by its own kernel.
    """

    cpus: float = CPUS_LIMIT
    memory_bytes: int = MEMORY_LIMIT_BYTES
    pids: int = PIDS_LIMIT

    @property
    def cpu_quota_microseconds(self) -> int:
        """The CPU time per CPU_PERIOD_MICROSECONDS."""
        return int(self.cpus * CPU_PERIOD_MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a start, with its begin and end."""

    step: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run that a target needs; plain data that is sent to the worker.

    `runtimes` are the paths of OCI runtimes that the user named.
    """

    userland: Userland
    scratch: Path
    accelerator: Accelerator
    start_deadline_seconds: float = 120.0
    prepare_deadline_seconds: float = 300.0
    runtimes: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command inside an instance; `elapsed_ns` by the instance's own clock."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    elapsed_ns: int


def read_answer(connection: socket.socket, name: str) -> int:
    """Return the time when the payload's server answered. Raise TargetFailed for another server."""
    answer = connection.recv(16)
    answered_ns = time.monotonic_ns()
    if answer != payload_protocol.ANSWER:
        raise TargetFailed(f"{name} answered {answer!r}: this is not the payload's server.")
    return answered_ns


class Instance(ABC):
    """One running container, machine or process that contains the payload.

    `name` is for errors. `t0_ns` is the time of the request. Leaving the context stops the
    instance.
    """

    name: str
    t0_ns: int

    @abstractmethod
    def reached(self, milestone: Milestone) -> int | None:
        """Wait for a milestone and return its time; None if the instance has no such milestone.

        Raise StartFailed at the start deadline, or if the instance ends before.
        """

    @abstractmethod
    def ask(self) -> int:
        """Send a request to the payload's server at the instance's own address.

        Return the time of the answer. Raise TargetFailed.
        """

    def run(
        self, argv: list[str], timeout_seconds: float, *, keep_children: bool = False
    ) -> CommandResult:
        """Run a command inside, on the instance's root file system, in the declared environment.

        Processes that the command leaves are killed, unless `keep_children` is set. Raise
        TargetFailed if the command does not end in time.
        """
        request = environment.DECLARED.within(argv, keep_children=keep_children, cpus=self.cpus())
        return self.request(request, argv[0], timeout_seconds)

    def cpus(self) -> frozenset[int]:
        """Return the host's CPUs that its commands may use; empty if it has virtual CPUs."""
        return frozenset()

    @abstractmethod
    def request(self, words: list[str], what: str, timeout_seconds: float) -> CommandResult:
        """Send a request to the payload's agent; `what` names the command in errors.

        Raise TargetFailed.
        """

    @abstractmethod
    def pids(self) -> list[int]:
        """Return the host processes that exist for this instance only, VMM or shim included."""

    def spans(self) -> list[Span]:
        """Return the steps of the start, once the instance is ready; empty if they are unknown."""
        return []

    has_console = False

    def console(self, word: str, deadline_ns: int) -> int:
        """Wait for a console line that begins with the word, and return its arrival time.

        Raise StartFailed at the deadline.
        """
        raise NotImplementedError

    @abstractmethod
    def stop(self) -> None:
        """Stop the instance; return when no process, mount, cgroup or disk of it is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Target(ABC):
    """A way to run the payload; a context manager for the resources that its instances share."""

    name: str
    kind: Kind
    attachments: tuple[Attachment, ...] = ()  # supported by `attached`
    traces_separately = False  # tracing slows the start, so a separate start is traced
    image_refusal = "it runs only the common user land"  # empty if it can run any image

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.resources = ExitStack()  # released by leaving the context
        self.running: list[Instance] = []  # instances that outlive the call that started them
        self.until_stopped = ExitStack()  # further resources of these, until all are stopped

    @classmethod
    @abstractmethod
    def absent(cls) -> str:
        """Return the reason why this host can't run the target; empty if it can."""

    @classmethod
    @abstractmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Remove everything that dead workers of this target left in `scratch` and on the host.

        Return a line for each removed object.
        """

    @abstractmethod
    def start(self, allotment: Allotment | None = None) -> Instance:
        """Request one more instance and return as soon as the start is under way.

        Without an allotment it gets the usual resources of its kind. Raise StartFailed.
        """

    def start_traced(self) -> Instance:
        """Start an instance whose `spans` show the steps of the start. Raise StartFailed."""
        return self.start()

    def attached(
        self,
        attachment: Attachment,
        allotment: Allotment | None = None,
        network: IsolatedNetwork | None = None,
    ) -> AbstractContextManager[Instance]:
        """Start one more instance with an attachment, for the block.

        A network attachment connects it to a peer: in `network`, or else in a network of its own
        whose peer runs the servers of the network workloads. Raise LabError.
        """
        raise NotImplementedError

    @abstractmethod
    def image_bytes(self) -> dict[str, int]:
        """Return the image's bytes as shipped (`image-compressed`) and unpacked (`image-on-disk`).

        A target without an image returns nothing.
        """

    def image_paths(self) -> list[Path]:
        """Return the image's files and directories; empty if the tool does not reveal them."""
        return []

    def shipped(self) -> list[Path]:
        """Return the files that are shipped; empty if the tool does not reveal them."""
        return []

    def unpack(self, files: list[Path], directory: Path) -> None:
        """Turn shipped files that were copied to the directory into files that instances use."""

    def prepare(self) -> None:
        """Prepare resources that all instances share: import an image, start a daemon.

        Register their release in `self.resources`.
        """

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Return the bytes on disk that are allocated for this instance only."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self.resources:
            self.prepare()
            self.resources = self.resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self.resources, self.until_stopped, ExitStack() as instances:
            while self.running:
                instances.callback(self.running.pop().stop)

"""What every target has in common: it starts instances of the payload and tells when they came up.

A target lives in a worker process of its own (targets.worker). Times are nanoseconds of the host's
CLOCK_MONOTONIC, in which t0 is when the start was asked for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from lab.targets import environment

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lab.host.kvm import Accelerator
    from lab.metrics import Milestone
    from lab.network.isolated_network import IsolatedNetwork
    from lab.userland.build import Userland

Kind = Literal["native", "container", "machine"]
# What an instance can have beyond what all have: a way to a peer (lab.network), a volume.
Attachment = Literal["host", "bridge", "nat", "user", "volume"]
VOLUME = "/mnt"  # where it is seen inside
PORT = 7000

# Limits that every container gets, and so pays for, but that no workload here meets.
MEMORY_LIMIT_BYTES = 1 << 30
PIDS_LIMIT = 1024
CPUS_LIMIT = os.cpu_count() or 1
CPU_PERIOD_MICROSECONDS = 100_000


@dataclass(frozen=True, slots=True)
class Allotment:
    """What an instance is given of the host: CPUs (also parts of one), memory, processes.

    To a machine, CPUs are whole ones, and the number of processes is its own kernel's matter.
    """

    cpus: float = CPUS_LIMIT
    memory_bytes: int = MEMORY_LIMIT_BYTES
    pids: int = PIDS_LIMIT

    @property
    def cpu_quota_microseconds(self) -> int:
        """CPU time in each CPU_PERIOD_MICROSECONDS."""
        return int(self.cpus * CPU_PERIOD_MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a start: what was done, and from when to when."""

    step: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What a target needs to know of the run: plain data that crosses to the worker."""

    userland: Userland
    scratch: Path
    accelerator: Accelerator
    start_deadline_seconds: float = 120.0
    prepare_deadline_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command inside an instance ended; `elapsed_ns` by the instance's own clock."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    elapsed_ns: int


class Instance(ABC):
    """One running container, machine or process, with the payload in it.

    `t0_ns` is when its start was asked for. Leaving the context stops it.
    """

    t0_ns: int

    @abstractmethod
    def reached(self, milestone: Milestone) -> int | None:
        """When the milestone was reached; None if this kind of instance has no such milestone.

        Blocks until then. Raises StartFailed past the start deadline, or if the instance ended.
        """

    @abstractmethod
    def ask(self) -> int:
        """When a request to the payload's server, on the instance's own address, was answered."""

    def run(
        self, argv: list[str], timeout_seconds: float, *, leaving: bool = False
    ) -> CommandResult:
        """Run a command inside, on the instance's root file system, in the declared surroundings.

        What it leaves behind is ended with it, unless it is `leaving` something on purpose.
        Raises LabError if it does not end in time.
        """
        request = environment.DECLARED.within(argv, leaving=leaving, cpus=self.cpus())
        return self.request(request, argv[0], timeout_seconds)

    def cpus(self) -> frozenset[int]:
        """Return the host's CPUs that its commands may use; empty if it has CPUs of its own."""
        return frozenset()

    @abstractmethod
    def request(self, words: list[str], what: str, timeout_seconds: float) -> CommandResult:
        """Hand words to the payload's agent, which call `what` an error names. Raise LabError."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Every process on the host that is there for this instance alone, VMM or shim included."""

    def spans(self) -> list[Span]:
        """Where the time of its start went, step by step, once it is ready; empty if untold."""
        return []

    has_console = False

    def console(self, word: str, deadline_ns: int) -> int:
        """When a line that begins with the word came over the console, if there is one.

        Raises StartFailed past the deadline.
        """
        raise NotImplementedError

    @abstractmethod
    def stop(self) -> None:
        """Stop it and return when it is gone: no process, mount, cgroup or disk is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Target(ABC):
    """One way to run the payload; a context manager that holds what all its instances share."""

    name: str
    kind: Kind
    attachments: tuple[Attachment, ...] = ()  # those that it can be started with
    traces_separately = False  # tracing slows the start, so it is a separate one

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.resources = ExitStack()
        self.running: list[Instance] = []  # those that outlive the call that started them
        self.kept = ExitStack()  # what these need beside, until all are stopped

    @classmethod
    @abstractmethod
    def absent(cls) -> str:
        """Why this host can't run the target, in a sentence; empty if it can."""

    @classmethod
    @abstractmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Remove what dead workers of this target left below `scratch` or on the host.

        Returns what was removed, a line each.
        """

    @abstractmethod
    def start(self, allotment: Allotment | None = None) -> Instance:
        """Ask for one more instance and return as soon as the request is under way.

        It gets what its kind gets in every other experiment unless an allotment is given. Raises
        StartFailed.
        """

    def start_traced(self) -> Instance:
        """The same, with an instance whose `spans` tell where the time went."""
        return self.start()

    def attached(
        self,
        attachment: Attachment,
        allotment: Allotment | None = None,
        wires: IsolatedNetwork | None = None,
    ) -> AbstractContextManager[Instance]:
        """One more instance, that has the attachment, and the peer if it is a way to one.

        Its network is its own, with the measured servers at the peer, unless it is given `wires`.
        It is stopped, and what was made for it removed, when the context is left. Raises LabError.
        """
        raise NotImplementedError

    @abstractmethod
    def image_bytes(self) -> dict[str, int]:
        """Bytes as shipped (`image-compressed`) and as they lie on disk (`image-on-disk`)."""

    def image_paths(self) -> list[Path]:
        """Where the image lies on disk, as files and folders; empty if the tool does not say."""
        return []

    def shipped(self) -> list[Path]:
        """The files as which the image is shipped; empty if the tool does not say."""
        return []

    def unpack(self, files: list[Path], directory: Path) -> None:
        """Make of files that arrived in the directory what an instance starts from."""

    def prepare(self) -> None:
        """Make what all instances share (import an image, start a daemon); undone by close."""

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Allocated bytes on disk that exist for this instance alone."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self.resources:
            self.prepare()
            self.resources = self.resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self.resources, self.kept, ExitStack() as instances:
            while self.running:
                instances.callback(self.running.pop().stop)

"""Containers of the lab's own runtime, started in process."""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import runtime
from lab.errors import StartFailed
from lab.host.disk_usage import allocated_bytes
from lab.host.process_usage import members_of_cgroup
from lab.paths import IMAGE_DIRECTORY
from lab.targets import base, leftovers, peer_servers
from lab.targets.base import VOLUME, Allotment, Attachment, Instance, Kind, Span, Target
from lab.targets.network_sharing import sharing_network
from lab.targets.payload_pipes import PayloadPipes, PipeInstance
from lab.userland import container_image
from runtime.spec.config import Cpu, Memory, Mount, Pids, Resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.network.isolated_network import IsolatedNetwork
    from lab.targets.base import Settings
    from runtime.launcher.tracing import Steps
    from runtime.spec.config import Spec

_FAMILY = "tonnage"  # the runtime puts its own name before it
_STOP_SECONDS = 10.0


class ContainerInstance(PipeInstance):
    """The payload as process 1 of a container."""

    container: runtime.Container
    steps: Steps | None = None  # of a traced start

    def payload_pid(self) -> int:
        """Return the pid of the container's process 1 on the host."""
        return self.container.pid

    def pids(self) -> list[int]:
        """Return the payload's pid, and the processes of an image's application.

        The runtime leaves no process with a container.
        """
        if self._application:
            return members_of_cgroup(self.container.pid)
        return [self.container.pid]

    def spans(self) -> list[Span]:
        """Return the runtime's steps, from the request until the program ran."""
        if not self.steps:
            return []
        begun = self.steps.begun()
        first_ns = self.reached("first-instruction")
        assert first_ns is not None
        ends_ns = [at_ns for _, at_ns in begun[1:]] + [first_ns]
        return [
            Span("call", self.t0_ns, begun[0][1]),
            *(Span(step, at, end) for (step, at), end in zip(begun, ends_ns, strict=True)),
        ]

    def stop(self) -> None:
        """Kill the container, wait for it, and delete its cgroups, mounts and layer."""
        self.container.kill(signal.SIGKILL)
        self.container.wait(_STOP_SECONDS)
        self.container.delete()
        self.pipes.close()
        if self.steps:
            self.steps.close()


class OurContainer(Target):
    """Containers of the lab's runtime, over the common user land."""

    name = "container"
    kind: Kind = "container"
    attachments: tuple[Attachment, ...] = get_args(Attachment)
    traces_separately = True
    image_refusal = ""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._numbers = itertools.count()
        self._spec = self._specified(Allotment())
        self._stderr = 2

    @classmethod
    def absent(cls) -> str:
        """Return a reason if this process is not root; empty if it is."""
        return "" if os.geteuid() == 0 else "it needs root"

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Remove the containers of dead workers, and cgroups of theirs without a container."""
        return runtime.clean(scratch / "containers") + leftovers.clean(_FAMILY, scratch)

    def prepare(self) -> None:
        """Open a file for what an image's applications print."""
        if self.settings.userland.application:
            directory = self.settings.scratch / "containers-output"
            directory.mkdir(exist_ok=True)
            log = (directory / str(os.getpid())).open("ab")
            self._stderr = self.resources.enter_context(log).fileno()

    def start(self, allotment: Allotment | None = None) -> ContainerInstance:
        """Start a container in this process. Raise StartFailed."""
        return self._start(self._specified(allotment) if allotment else self._spec)

    def start_traced(self) -> ContainerInstance:
        """Start a container whose child process reads the clock between its steps."""
        from runtime.launcher.tracing import Steps

        steps = Steps()
        try:
            instance = self._start(self._spec, steps)
        except BaseException:
            steps.close()
            raise
        instance.steps = steps
        return instance

    @contextmanager
    def attached(
        self,
        attachment: Attachment,
        allotment: Allotment | None = None,
        network: IsolatedNetwork | None = None,
    ) -> Iterator[ContainerInstance]:
        """Start a container with a veth device, slirp4netns, the host's network, or a volume."""
        spec = self._specified(allotment) if allotment else self._spec
        with ExitStack() as stack:
            if attachment == "volume":
                directory = self.settings.scratch / "volume"
                directory.mkdir(exist_ok=True)
                yield stack.enter_context(self._start(_with_bind(spec, directory, VOLUME, "rw")))
                return
            if network is None:
                network = stack.enter_context(peer_servers.network_with_peer(self.settings))
            stack.enter_context(network.at_host())
            if attachment == "host":
                spec = sharing_network(spec)
            instance = stack.enter_context(self._start(spec))
            if attachment != "host":
                network.attach(instance.payload_pid(), attachment)
            yield instance

    def _start(self, spec: Spec, steps: Steps | None = None) -> ContainerInstance:
        pipes = PayloadPipes()
        identity = f"{_FAMILY}-{os.getpid()}-{next(self._numbers)}"
        t0_ns = time.monotonic_ns()
        try:
            container = runtime.Container.run(
                identity,
                spec,
                layers=self.settings.userland.layers,
                stdin=pipes.stdin,
                stdout=pipes.stdout,
                stderr=self._stderr,
                root=self.settings.scratch / "containers",
                steps=steps,
            )
        except runtime.ContainerError as error:
            pipes.hand_over()
            pipes.close()
            raise StartFailed(f"A container did not start: {error}") from error
        pipes.hand_over()
        instance = ContainerInstance(
            self.name,
            t0_ns,
            pipes,
            self.settings.start_deadline_seconds,
            self.settings.userland.application,
        )
        instance.container = container
        return instance

    def image_bytes(self) -> dict[str, int]:
        """Return the bytes of the layers as shipped, and unpacked."""
        return {
            "image-compressed": sum(map(allocated_bytes, self.shipped())),
            "image-on-disk": sum(map(allocated_bytes, self.image_paths())),
        }

    def image_paths(self) -> list[Path]:
        """Return the unpacked layers."""
        return list(self.settings.userland.layers)

    def shipped(self) -> list[Path]:
        """Return the packed layers."""
        return list(self.settings.userland.packed_layers)

    def unpack(self, files: list[Path], directory: Path) -> None:
        """Unpack the layers into the directory. Raise LabError."""
        for file in files:
            container_image.unpack(file, directory)

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Return the bytes of the container's upper layer."""
        assert isinstance(instance, ContainerInstance)
        return allocated_bytes(Path(instance.container.upper))

    def _specified(self, allotment: Allotment) -> Spec:
        """Return the configuration of a container with these resources."""
        land = self.settings.userland
        spec = runtime.default_spec(
            args=land.serve_words("container"),
            resources=Resources(
                memory=Memory(limit=allotment.memory_bytes),
                cpu=Cpu(
                    quota=allotment.cpu_quota_microseconds, period=base.CPU_PERIOD_MICROSECONDS
                ),
                pids=Pids(limit=allotment.pids),
            ),
        )
        if not land.application:
            return spec
        # As with docker: an image may have programs that set their user.
        assert spec.process
        spec = spec.replace(process=spec.process.replace(no_new_privileges=False))
        return _with_bind(spec, land.payload.parent, IMAGE_DIRECTORY, "ro")


def _with_bind(spec: Spec, source: Path, destination: str, access: str) -> Spec:
    bind = Mount(
        destination=destination, type="bind", source=str(source), options=("rbind", access)
    )
    return spec.replace(mounts=(*spec.mounts, bind))

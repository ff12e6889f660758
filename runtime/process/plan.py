"""The plan of a start: the caller's request, and all that the child's program is written from."""

from __future__ import annotations

from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.launcher.channel import ChildEnd
    from runtime.launcher.program import Program, Result
    from runtime.launcher.tracing import Steps
    from runtime.namespaces.namespaces import Namespaces
    from runtime.rootfs.destinations import Layout
    from runtime.rootfs.mount_sources import ReservedDescriptors, Sources
    from runtime.rootfs.root import Bundle, Overlay
    from runtime.seccomp.filter import Filter
    from runtime.spec.config import Box, MemoryPolicy, Mount, Personality, Process, Spec


def ignore_warning(_: str) -> None:
    """Do nothing with a warning."""


class StartRequest(Struct):
    """A container to create: its configuration, its root file system, and the caller's options."""

    identifier: str
    spec: Spec
    root: Bundle | Overlay
    bundle: str
    streams: tuple[int, int, int] = (0, 1, 2)
    console: int | None = None  # the socket to which the master of its terminal is sent
    waits: bool = False  # at the start gate, as `create` of the OCI specification asks
    new_keyring: bool = True
    kept_descriptors: int = 0  # from descriptor 3 on
    pivots: bool = True
    is_service: bool = False  # it notifies a service manager (container.notify_socket)
    cgroup_manager: str = "cgroupfs"
    rootless: str = "auto"  # or `true`, or `false`
    warn: Callable[[str], object] = staticmethod(ignore_warning)
    steps: Steps | None = None  # to trace the start


class StartGate(Struct):
    """The gate at which a created container waits: descriptors of two FIFOs.

    The child goes on when it can read from `start`. From then on it reports failures to `report`.
    """

    start: int
    report: int


class StartPlan(Struct):
    """A request, and all that the parent looks up and opens for it.

    The last four fields are filled in, by `replace`, while the child makes its namespaces.
    """

    request: StartRequest
    process: Process
    layout: Layout
    namespaces: Namespaces
    channel: ChildEnd
    reserved: ReservedDescriptors | None = None
    streams_to_give: tuple[int, ...] = ()  # to the user, by the child (process.streams)
    opened_mounts: dict[int, int] = {}  # noqa: RUF012 - a struct is frozen; by the mount's number
    gate: StartGate | None = None
    has_early_hooks: bool = False  # which run once the mounts are made
    has_host_file_systems: bool = False  # whose devices the cgroup may forbid later
    empty_namespace: int | None = None  # a mount namespace to move the root into
    avoided_cpu: int | None = None  # on which the parent works meanwhile
    capabilities: int = 0  # those that the process can have, as bits
    makes_devices: bool = False
    cgroup_paths: dict[str, str] = {}  # noqa: RUF012
    seccomp: Filter | None = None

    def trace(self, program: Program) -> None:
        """Add reports of its steps to a program, if the start is traced."""
        if self.request.steps:
            self.request.steps.watch(program)

    def needed_to_the_end(self) -> list[int]:
        """Return the descriptors that the child uses after it has left the host."""
        request = self.request
        gate = [self.gate.start, self.gate.report] if self.gate else []
        steps = [request.steps.report] if request.steps else []
        streams = request.streams if request.console is None else ()
        return [self.channel.reports, self.channel.permits, *gate, *steps, *streams]

    def needed_by_child(self) -> list[int]:
        """Return the descriptors that the child uses, but for those of the channel."""
        request = self.request
        descriptors = [*request.streams, *self.opened_mounts.values()]
        descriptors += self.namespaces.by_child()
        descriptors += range(3, 3 + request.kept_descriptors)
        optional = (request.console, self.empty_namespace)
        descriptors += [each for each in optional if each is not None]
        descriptors += [self.gate.start, self.gate.report] if self.gate else []
        if self.reserved:
            descriptors += [self.reserved.host, self.reserved.own, self.reserved.tree]
        descriptors += [request.steps.report] if request.steps else []
        return list(dict.fromkeys(descriptors))


class RootSetup(Struct):
    """The content of the root file system: mounts, devices, and paths to hide or to protect."""

    mounts: tuple[Mount, ...]
    layout: Layout
    masked_paths: tuple[str, ...]
    readonly_paths: tuple[str, ...]
    sources: Sources
    shares_mounts: bool  # the mount namespace is the host's
    terminal: tuple[int, Box | None, int] | None  # the socket it is sent to, its size, its owner
    channel: ChildEnd


class Departure(Struct):
    """The child's place once it has left the host: its descriptors and its working directory."""

    needed: list[int]  # descriptors to keep open until the exec
    kept_descriptors: int
    propagation: str
    is_read_only: bool
    cwd: str
    directory: str  # to which `cwd` leads
    streams: tuple[int, ...] | None  # None if the terminal is in their places already
    streams_to_give: tuple[int, ...]
    user: int


class ProcessSetup(Struct):
    """The last steps of the child: the privileges it keeps, its filter, and its program."""

    process: Process
    memory_policy: MemoryPolicy | None
    personality: Personality | None
    may_set_groups: bool
    umask: Result
    entering: Result  # of `attributes.enter`
    capabilities: int  # those that the process can have, as bits
    seccomp: Filter | None
    channel: ChildEnd
    path: str = ""  # the file to execute; if empty, it is looked up by the first word

"""From a configuration to a process that is set up: what the parent does for it.

All that can be refused without asking the kernel is refused before anything is made; what was made
is undone if any of it fails. The parent limits the cgroup while the child makes its mounts.
"""

from __future__ import annotations

import errno
import os
import time

from runtime import cgroups
from runtime.cgroups.hierarchies import WITHOUT
from runtime.container import hooks
from runtime.container.start_gate import hand_on_listener
from runtime.container.state import (
    CALLS,
    CONFIG,
    REPORT,
    START,
    State,
    StateDirectory,
    process_start,
)
from runtime.container.validation import check
from runtime.errors import ContainerError
from runtime.launcher import cpu_placement
from runtime.launcher.channel import Meeting
from runtime.launcher.descriptors import Descriptors
from runtime.launcher.rollback import Undo
from runtime.linux import capabilities
from runtime.linux.users import PASSWD, PASSWD_BYTES, home, in_user_namespace, is_rootless
from runtime.namespaces import id_mappings
from runtime.namespaces.namespaces import Namespaces
from runtime.process import init, rlimits
from runtime.process.streams import Owners, user_of
from runtime.rootfs import detached_mounts, empty_mount_namespace
from runtime.rootfs import root as rootfs
from runtime.rootfs.destinations import Resolver
from runtime.rootfs.devices import check_existing
from runtime.rootfs.mount_sources import Places, is_of_host, needs_places
from runtime.seccomp import cache
from runtime.spec.config import Resources
from runtime.spec.json_structs import Struct, encode, text_of
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups import Cgroup
    from runtime.launcher.parent_channel import Talk
    from runtime.launcher.spawn import Child
    from runtime.launcher.tracing import Steps
    from runtime.rootfs.root import Bundle, Overlay
    from runtime.spec.config import Process, Spec


_PER_MOUNT = 3  # descriptors that one may take before it is in its place
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def silent(_: str) -> None:
    """Tell nobody."""


class Request(Struct):
    """What is to be made of a configuration, and how."""

    identifier: str
    spec: Spec
    root: Bundle | Overlay
    bundle: str
    streams: tuple[int, int, int] = (0, 1, 2)
    console: int | None = None
    waits: bool = False  # until it is started, as a container that is only created does
    new_keyring: bool = True
    kept_descriptors: int = 0
    pivots: bool = True
    is_service: bool = False  # which says how it is (runtime.oci.sd_notify)
    cgroup_manager: str = "cgroupfs"
    rootless: str = "auto"  # else `true` or `false`
    warn: Callable[[str], object] = staticmethod(silent)
    steps: Steps | None = None  # if it is to tell them


class Made(Struct):
    """A container's first process and its cgroup; `pidfd` is the caller's to close."""

    state: State
    pidfd: int
    cgroup: Cgroup


def create(request: Request, directory: StateDirectory) -> Made:
    """Make a container, and run its program unless it is to wait.

    `directory` is there, and is the caller's to remove if this fails. Raises ContainerError, and
    then nothing else is left.
    """
    spec = request.spec
    begin = request.steps.begin if request.steps else silent
    begin("configuration")
    wanted = _check(spec, request.warn)
    resolver = Resolver(request.root.trees)
    layout = resolver.lay_out(spec, wanted.cwd, request.bundle)
    if isinstance(request.root, rootfs.Bundle):
        check_existing(layout.devices, resolver.found_in_image)
    room = rlimits.Room(_PER_MOUNT * len(spec.mounts))
    with room, Undo() as undo, Namespaces(spec.linux.namespaces) as spaces:
        begin("plan the cgroup")
        left_out = _left_out(spec)
        cgroup = _plan_cgroup(request, left_out)
        undo(cgroup.remove)
        owners = Owners(
            request.streams if request.console is None else (),
            lambda: user_of(spec, wanted.user.uid),
        )
        undo(owners.give_back)
        if not spaces.owns("mount"):
            _share_mounts(request.root, directory)
        begin("pipes, sources")
        with Meeting() as meeting, Descriptors() as opened:
            plan = init.Plan(
                spec=spec,
                wanted=wanted,
                root=request.root,
                bundle=request.bundle,
                layout=layout,
                namespaces=spaces,
                streams=request.streams,
                places=_reserve_places(spec, opened),
                streams_to_give=owners.left,
                report=meeting.report,
                answer=meeting.answer,
                opened=detached_mounts.prepare(spec, layout, request.bundle, spaces, opened),
                console=request.console,
                gate=_make_gate(directory, opened) if request.waits else None,
                keyring=request.identifier if request.new_keyring else "",
                kept_descriptors=request.kept_descriptors,
                meets_for_hooks=_meets_for_hooks(spec),
                tells_of_mounts=any(map(is_of_host, spec.mounts)),
                pivots=request.pivots,
                bare=_bare(request, spaces),
                avoided=cpu_placement.avoided(),
                steps=request.steps,
            )
            init.launch(meeting.launch, plan, cgroup)
            with spaces.entered():
                child, talk = meeting.start(
                    kept=plan.kept(),
                    flags=spaces.clone_flags(),
                    cgroup=cgroup.clone_descriptor(),
                )
            if request.steps:
                request.steps.note("clone", child.asked_ns)
            begin("make the cgroup")
            cgroup.make()
            talk.answer()
            begin("filter")
            compiled = (
                cache.compile(spec.linux.seccomp, request.warn) if spec.linux.seccomp else None
            )
            begin("calls")
            outfit = init.Outfit(
                wanted=room.given_back(
                    with_environment(wanted, lambda: resolver.read(PASSWD, PASSWD_BYTES))
                ),
                able=able_in(spaces),
                makes_devices=not (spaces.owns("user") or in_user_namespace()),
                cgroup_paths=_with_shared(cgroup, left_out),
                seccomp=compiled,
            )
            program = init.write(plan, outfit)
            if spaces.makes("user"):
                talk.hear()
                id_mappings.map_ids(child.pid, spec.linux)
                talk.answer()
            meeting.execute(program, forks=spaces.forks)
            _limit(cgroup, plan, talk, child.pid)
            directory.write(CONFIG, text_of(spec))
            state = state_of(request, child.pid, cgroup)
            directory.save(state)
            talk.answer()
            _accompany(talk, request, directory, state, child)
            meeting.release()
    return Made(state=state, pidfd=child.pidfd, cgroup=cgroup)


def _reserve_places(spec: Spec, opened: Descriptors) -> Places | None:
    if not needs_places(spec.mounts):
        return None
    host, own, tree = (opened.hold(os.open("/", os.O_PATH | os.O_CLOEXEC)) for _ in range(3))
    return Places(host=host, own=own, tree=tree)


def _limit(cgroup: Cgroup, plan: init.Plan, talk: Talk, pid: int) -> None:
    """Limit the child and the cgroup that it is in."""
    rlimits.raise_hard(pid, plan.wanted)
    if plan.tells_of_mounts:
        talk.hear()  # what it may not open then it has mounted
    cgroup.limit(plan.spec.linux.resources)
    cgroup.close()
    talk.answer()


def _plan_cgroup(request: Request, left_out: frozenset[str]) -> Cgroup:
    """The cgroup; none for a user who may make none and asks for no limit. Raises ContainerError.

    Of devices a user namespace has none but those that are bound, whatever is said of them.
    """
    linux = request.spec.linux
    rootless = is_rootless() if request.rootless == "auto" else request.rootless == "true"
    plan = cgroups.create if rootless else cgroups.plan
    try:
        return plan(
            linux.cgroups_path, request.identifier, manager=request.cgroup_manager, without=left_out
        )
    except ContainerError as error:
        denied = isinstance(error.__cause__, OSError) and error.__cause__.errno in _DENIED
        if not denied or not rootless:
            raise
        if linux.resources.replace(devices=()) != Resources():
            raise ContainerError(
                f"linux.resources: {error} Without it there are no limits: ask for none, or have"
                " a cgroup delegated to this user."
            ) from error
    return cgroups.plan("", request.identifier, manager="disabled")


def _left_out(spec: Spec) -> frozenset[str]:
    words = spec.annotations.get(WITHOUT)
    return frozenset(word.strip() for word in words.split(",")) if words else frozenset()


def _with_shared(cgroup: Cgroup, left_out: frozenset[str]) -> dict[str, str]:
    """The cgroups that its first process is in: its own, and those of whoever makes it."""
    if cgroup.paths and not left_out:
        return cgroup.paths
    return {**cgroups.of_process(os.getpid()).paths, **cgroup.paths}


def _share_mounts(root: Bundle | Overlay, directory: StateDirectory) -> None:
    """Prepare a root whose mounts are the host's too. It goes with the directory."""
    if not isinstance(root, rootfs.Bundle):
        raise ContainerError(
            "linux.namespaces: layers need a mount namespace of the container's own: ask for one."
        )
    from runtime.container import shared_rootfs

    shared_rootfs.mount(root.path, directory)


def _bare(request: Request, spaces: Namespaces) -> int | None:
    """A mount namespace for the root to be moved into, if that can be instead of pivot_root(2).

    A terminal is opened in the root that would be left behind, and would have no name in the copy;
    and hooks may mount what can't be copied.
    """
    if not request.pivots or request.console is not None or _meets_for_hooks(request.spec):
        return None
    return (
        empty_mount_namespace.descriptor()
        if empty_mount_namespace.serves(request.spec, spaces)
        else None
    )


def _check(spec: Spec, warn: Callable[[str], object]) -> Process:
    """The process to start. A configuration that comes again is not checked again: it is frozen."""
    if not (_checked and _checked[0][0] is spec):
        _checked[:] = [(spec, check(spec, warn))]
    return _checked[0][1]


_checked: list[tuple[Spec, Process]] = []


def document(state: State, status: str) -> hooks.Document:
    """What hooks are told."""
    return hooks.Document(
        oci_version=SPECIFICATION,
        identifier=state.identifier,
        status=status,
        pid=0 if status == "stopped" else state.pid,
        bundle=state.bundle,
        annotations=state.annotations,
    )


def document_of_failed(request: Request) -> hooks.Document:
    """What hooks are told of a container that could not be created."""
    state = State(
        identifier=request.identifier,
        pid=0,
        bundle=request.bundle,
        annotations=request.spec.annotations,
    )
    return document(state, "stopped")


def _accompany(
    talk: Talk,
    request: Request,
    directory: StateDirectory,
    state: State,
    child: Child,
) -> None:
    """Do the parent's part, until the child waits to be started or runs its program."""
    spec = request.spec
    if _meets_for_hooks(spec):
        talk.hear()
        if spec.linux.net_devices:
            from runtime.network import host_devices

            host_devices.move(spec.linux.net_devices, child.pid)
        told = document(state, "created")  # "after step 2 in the lifecycle"
        hooks.run(spec.hooks.prestart, told)
        hooks.run(spec.hooks.create_runtime, told)
        if spec.hooks.create_container:
            from runtime.process import namespace_hooks

            namespace_hooks.run_at_create(spec, state, told)
        talk.answer()
    if request.waits:
        talk.hear()
        directory.write(CALLS, encode(child.calls))
    else:
        hand_on_listener(talk, spec, state, child.pid, child.pidfd)
        talk.finish()


def state_of(request: Request, pid: int, cgroup: Cgroup) -> State:
    """What is to be written down of a container that has just come to be."""
    return State(
        identifier=request.identifier,
        pid=pid,
        bundle=request.bundle,
        annotations=request.spec.annotations,
        rootfs=request.root.path,
        created=_now(),
        owner=os.geteuid(),
        process_start=process_start(pid),
        cgroup_paths=cgroup.paths,
    )


def _now() -> str:
    """The time by RFC 3339, in UTC."""
    now_ns = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 1_000_000_000))
    return f"{seconds}.{now_ns % 1_000_000_000:09d}Z"


def _meets_for_hooks(spec: Spec) -> bool:
    wanted = spec.hooks
    return bool(
        wanted.prestart
        or wanted.create_runtime
        or wanted.create_container
        or spec.linux.net_devices
    )


def able_in(spaces: Namespaces) -> int:
    """The capabilities that can be had: all in a user namespace, else what this process has."""
    if spaces.owns("user"):
        return (1 << capabilities.last_known() + 1) - 1
    return capabilities.own_permitted()


def with_environment(wanted: Process, passwd: Callable[[], bytes | None]) -> Process:
    """The process with each variable once, by the last value that is given.

    If its HOME is empty or not set, it is its user's by the container's /etc/passwd.
    """
    by_name = {word.partition("=")[0]: word for word in wanted.env}
    if by_name.get("HOME", "HOME=") == "HOME=":
        by_name["HOME"] = f"HOME={home(passwd(), wanted.user.uid)}"
    elif len(by_name) == len(wanted.env):
        return wanted
    return wanted.replace(env=tuple(by_name.values()))


def _make_gate(directory: StateDirectory, opened: Descriptors) -> init.Gate:
    """Two FIFOs, of which the child keeps both ends open."""
    paths = directory.file(START), directory.file(REPORT)
    for path in paths:
        os.mkfifo(path, 0o600)
    start, report = (opened.hold(os.open(path, os.O_RDWR | os.O_CLOEXEC)) for path in paths)
    return init.Gate(start=start, report=report)

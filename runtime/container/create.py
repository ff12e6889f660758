"""Create a container: the parent's part of a start, from a configuration to a waiting process.

All that can be checked without a change to the host is checked first. If a later step fails, the
steps before it are undone. The parent limits the cgroup while the child makes its mounts.
"""

from __future__ import annotations

import errno
import os
import time

from runtime import cgroups
from runtime.cgroups.hierarchies import WITHOUT
from runtime.container import hooks
from runtime.container.start_gate import hand_on_listener, make_gate
from runtime.container.state import CALLS, CONFIG, State, process_start
from runtime.container.validation import check
from runtime.errors import ContainerError, InvalidConfig, Unavailable
from runtime.launcher import cpu_placement
from runtime.launcher.channel import ChildLaunch
from runtime.launcher.descriptors import Descriptors
from runtime.launcher.rollback import Rollback
from runtime.linux.users import PASSWD, PASSWD_BYTES, in_user_namespace, is_rootless
from runtime.namespaces import id_mappings
from runtime.namespaces.namespaces import Namespaces
from runtime.process import capabilities, init, rlimits
from runtime.process.environment import with_environment
from runtime.process.plan import StartPlan, ignore_warning
from runtime.process.streams import StreamOwners, user_of
from runtime.rootfs import detached_mounts, empty_mount_namespace
from runtime.rootfs import root as rootfs
from runtime.rootfs.destinations import Resolver
from runtime.rootfs.devices import check_existing
from runtime.rootfs.mount_sources import ReservedDescriptors, is_of_host, needs_reserved
from runtime.seccomp import cache
from runtime.spec.config import Resources, Spec
from runtime.spec.json_structs import Struct, encode, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups import Cgroup
    from runtime.container.state import StateDirectory
    from runtime.launcher.parent_channel import Channel
    from runtime.launcher.spawn import Child
    from runtime.process.plan import StartRequest
    from runtime.rootfs.root import Bundle, Overlay
    from runtime.spec.config import Process

_PER_MOUNT = 3  # descriptors that a mount may take until it is attached
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Created(Struct):
    """A container's first process and its cgroup; `pidfd` is the caller's to close."""

    state: State
    pidfd: int
    cgroup: Cgroup


def create(request: StartRequest, directory: StateDirectory) -> Created:
    """Create a container, and run its program unless the request `waits`.

    `directory` exists already; if this fails, the caller removes it, and nothing else is left.
    Raise ContainerError.
    """
    spec = request.spec
    begin = request.steps.begin if request.steps else ignore_warning
    begin("configuration")
    process = _checked_process(spec, request.warn)
    resolver = Resolver(request.root.trees)
    layout = resolver.lay_out(spec, process.cwd, request.bundle)
    if isinstance(request.root, rootfs.Bundle):
        check_existing(layout.devices, resolver.status_in_image)
    limit = rlimits.DescriptorLimit(_PER_MOUNT * len(spec.mounts))
    with limit, Rollback() as undo, Namespaces(spec.linux.namespaces) as spaces:
        begin("plan the cgroup")
        without = _controllers_left_out(spec)
        cgroup = _plan_cgroup(request, without)
        undo(cgroup.remove)
        streams = request.streams if request.console is None else ()
        owners = StreamOwners(streams, lambda: user_of(spec, process.user.uid))
        undo(owners.restore)
        if not spaces.owns("mount"):
            _share_mounts(request.root, directory)
        begin("pipes, sources")
        with ChildLaunch() as launch, Descriptors() as opened:
            has_early_hooks = _has_early_hooks(spec)
            plan = StartPlan(
                request=request,
                process=process,
                layout=layout,
                namespaces=spaces,
                channel=launch.end,
                reserved=_reserve_descriptors(spec, opened),
                streams_to_give=owners.remaining,
                opened_mounts=detached_mounts.prepare(spec, layout, request.bundle, spaces, opened),
                gate=make_gate(directory, opened) if request.waits else None,
                has_early_hooks=has_early_hooks,
                has_host_file_systems=any(map(is_of_host, spec.mounts)),
                # Hooks may make mounts that can't be copied into another namespace.
                empty_namespace=None if has_early_hooks else _empty_namespace(request, spaces),
                avoided_cpu=cpu_placement.avoided(),
            )
            child, channel = _launch(launch, plan, cgroup)
            begin("make the cgroup")
            cgroup.make()
            channel.cgroup_made()
            begin("filter")
            seccomp = (
                cache.compile(spec.linux.seccomp, request.warn) if spec.linux.seccomp else None
            )
            begin("calls")
            process = with_environment(process, lambda: resolver.read(PASSWD, PASSWD_BYTES))
            plan = plan.replace(
                process=limit.restored(process),
                capabilities=capabilities.available(spaces),
                makes_devices=not (spaces.owns("user") or in_user_namespace()),
                cgroup_paths=_with_shared(cgroup, without),
                seccomp=seccomp,
            )
            program = init.write(plan)
            if spaces.makes("user"):
                channel.await_user_namespace()
                id_mappings.map_ids(child.pid, spec.linux)
                channel.ids_mapped()
            launch.execute(program, forks=spaces.forks)
            _limit(cgroup, plan, channel, child.pid)
            directory.write(CONFIG, text_of(spec))
            state = new_state(request, child.pid, cgroup)
            directory.save(state)
            channel.state_saved()
            _accompany(channel, plan, directory, state, child)
            launch.release()
    return Created(state=state, pidfd=child.pidfd, cgroup=cgroup)


def _reserve_descriptors(spec: Spec, opened: Descriptors) -> ReservedDescriptors | None:
    if not needs_reserved(spec.mounts):
        return None
    host, own, tree = (opened.hold(os.open("/", os.O_PATH | os.O_CLOEXEC)) for _ in range(3))
    return ReservedDescriptors(host=host, own=own, tree=tree)


def _launch(launch: ChildLaunch, plan: StartPlan, cgroup: Cgroup) -> tuple[Child, Channel]:
    init.launch(launch.calls, plan, cgroup)
    with plan.namespaces.entered():
        child, channel = launch.start(
            kept=plan.needed_by_child(),
            flags=plan.namespaces.clone_flags(),
            cgroup=cgroup.clone_descriptor(),
        )
    if plan.request.steps:
        plan.request.steps.note("clone", child.asked_ns)
    return child, channel


def _limit(cgroup: Cgroup, plan: StartPlan, channel: Channel, pid: int) -> None:
    """Set the limits of the child and of its cgroup."""
    rlimits.raise_hard(pid, plan.process)
    if plan.has_host_file_systems:
        channel.await_host_file_systems()  # which the limits may keep it from opening
    cgroup.limit(plan.request.spec.linux.resources)
    cgroup.close()
    channel.limits_set()


def _plan_cgroup(request: StartRequest, without: frozenset[str]) -> Cgroup:
    """Return the cgroup to make. Raise ContainerError.

    A user who may make no cgroup gets a container without one, unless the configuration sets
    limits. Rules for devices are no limits here: in a user namespace no device but those bound from
    the host can be opened anyway.
    """
    linux = request.spec.linux
    rootless = is_rootless() if request.rootless == "auto" else request.rootless == "true"
    plan = cgroups.create if rootless else cgroups.plan
    try:
        return plan(
            linux.cgroups_path, request.identifier, manager=request.cgroup_manager, without=without
        )
    except ContainerError as error:
        is_denied = isinstance(error.__cause__, OSError) and error.__cause__.errno in _DENIED
        if not is_denied or not rootless:
            raise
        if linux.resources.replace(devices=()) != Resources():
            raise Unavailable(
                f"linux.resources: {error} Without a cgroup there are no limits: remove them, or"
                " have a cgroup delegated to this user."
            ) from error
    return cgroups.plan("", request.identifier, manager="disabled")


def _controllers_left_out(spec: Spec) -> frozenset[str]:
    """Return the controllers in which the container stays in its creator's cgroup."""
    names = spec.annotations.get(WITHOUT)
    return frozenset(name.strip() for name in names.split(",")) if names else frozenset()


def _with_shared(cgroup: Cgroup, without: frozenset[str]) -> dict[str, str]:
    """Return all cgroups of the first process: the container's, and those of its creator."""
    if cgroup.paths and not without:
        return cgroup.paths
    return {**cgroups.of_process(os.getpid()).paths, **cgroup.paths}


def _share_mounts(root: Bundle | Overlay, directory: StateDirectory) -> None:
    """Mount the root of a container that has the host's mount namespace.

    `removal.remove_directory` unmounts it.
    """
    if not isinstance(root, rootfs.Bundle):
        raise InvalidConfig(
            "linux.namespaces: layers need a mount namespace of the container's own: add one."
        )
    from runtime.container import shared_rootfs

    shared_rootfs.mount(root.path, directory)


def _empty_namespace(request: StartRequest, spaces: Namespaces) -> int | None:
    """Return a mount namespace to move the root into, or None to call pivot_root(2).

    A terminal is opened in the root that would be left behind, and would have no name in the copy.
    """
    if not request.pivots or request.console is not None:
        return None
    if not empty_mount_namespace.can_hold(request.spec, spaces):
        return None
    return empty_mount_namespace.descriptor()


# The configuration that was checked last, and its process. It is frozen: when containers are
# created in a row from one configuration, it is checked once.
_latest_checked: dict[type[Spec], tuple[Spec, Process]] = {}


def _checked_process(spec: Spec, warn: Callable[[str], object]) -> Process:
    """Return the process to start. Raise InvalidConfig if the configuration can't be started."""
    latest = _latest_checked.get(Spec)
    if latest is None or latest[0] is not spec:
        latest = _latest_checked[Spec] = spec, check(spec, warn)
    return latest[1]


def _accompany(
    channel: Channel, plan: StartPlan, directory: StateDirectory, state: State, child: Child
) -> None:
    """Do the parent's part until the child waits at its gate, or runs its program."""
    spec = plan.request.spec
    if plan.has_early_hooks:
        channel.await_mounts()
        if spec.linux.net_devices:
            from runtime.network import host_devices

            host_devices.move(spec.linux.net_devices, child.pid)
        document = hooks.document(state, "created")  # "after step 2 in the lifecycle"
        hooks.run(spec.hooks.prestart, document)
        hooks.run(spec.hooks.create_runtime, document)
        if spec.hooks.create_container:
            from runtime.container import namespace_hooks

            namespace_hooks.run_at_create(spec, state, document)
        channel.hooks_done()
    if plan.gate:
        channel.await_gate()
        directory.write(CALLS, encode(child.calls))
    else:
        hand_on_listener(channel, spec, state, child.pid, child.pidfd)
        channel.await_exec()


def new_state(request: StartRequest, pid: int, cgroup: Cgroup) -> State:
    """Return the state of a container whose first process has just been started."""
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
    """Return the time as RFC 3339 has it, in UTC."""
    now_ns = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 1_000_000_000))
    return f"{seconds}.{now_ns % 1_000_000_000:09d}Z"


def _has_early_hooks(spec: Spec) -> bool:
    """Return True if the parent acts between the mounts and the change of the root."""
    hooks_of_spec = spec.hooks
    return bool(
        hooks_of_spec.prestart
        or hooks_of_spec.create_runtime
        or hooks_of_spec.create_container
        or spec.linux.net_devices
    )

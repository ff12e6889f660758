"""The program of a container's first process, from clone to exec, in its order.

The parent writes it as a list of system calls, which the child carries out; no other code runs in
the child. Where the parent has to act in between (map IDs, run hooks), the child reports and waits.
"""

from __future__ import annotations

import os

from runtime.launcher import cpu_placement
from runtime.launcher.channel import die_with_parent
from runtime.launcher.program import Program
from runtime.linux import prctl, syscalls
from runtime.linux.proc import ignored_signals
from runtime.namespaces import id_mappings, namespaces
from runtime.process import attributes, capabilities, executable, rlimits, terminal
from runtime.process.plan import Departure, ProcessSetup, RootSetup
from runtime.rootfs import devices, empty_mount_namespace, masking
from runtime.rootfs import root as rootfs
from runtime.rootfs.mount_sources import SourceOpener, Sources
from runtime.rootfs.mounts import Mounts, make_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.cgroups import Cgroup
    from runtime.launcher.channel import ChildEnd
    from runtime.launcher.program import Result
    from runtime.process.plan import StartGate, StartPlan
    from runtime.seccomp.filter import Filter
    from runtime.spec.config import Process, Spec

_LAST_DESCRIPTOR = 0xFFFFFFFF


def launch(program: Program, plan: StartPlan, cgroup: Cgroup) -> None:
    """Write the calls before the first exec, which would cost a process its capabilities.

    A process in a user namespace has all capabilities until it execs without being root there.
    """
    plan.trace(program)
    program.step("namespaces")
    if plan.avoided_cpu is not None:
        cpu_placement.avoid(program, plan.avoided_cpu)
    die_with_parent(program)
    plan.namespaces.launch(program)
    program.step("join the cgroup")
    plan.channel.wait(program, "its cgroup is made")
    cgroup.join(program)
    if plan.namespaces.makes("cgroup"):
        program.call("make the cgroup namespace", syscalls.UNSHARE, namespaces.FLAGS["cgroup"])
    if plan.namespaces.makes("user"):
        plan.channel.report(program, "its user namespace is made")
        plan.channel.wait(program, "its IDs are mapped")
    if plan.namespaces.owns("user"):
        id_mappings.become_root_of_user_namespace(
            program, set_groups=id_mappings.may_set_groups(plan.request.spec.linux)
        )


def write(plan: StartPlan) -> Program:
    """Return the program that follows the launch."""
    program, request = Program(), plan.request
    plan.trace(program)
    program.step("session, namespaces")
    program.call("hide from other processes", syscalls.PRCTL, prctl.SET_DUMPABLE, 0, 0, 0, 0)
    if plan.namespaces.forks:
        plan.channel.fork(program)
    program.call("lead a session", syscalls.SETSID)
    plan.namespaces.enter(program)
    program.step("names, loopback")
    if plan.namespaces.makes("time"):
        namespaces.make_time_namespace(program, request.spec.linux)
    if request.new_keyring:
        attributes.join_new_keyring(program, request.identifier)
    attributes.adjust_oom_score(program, plan.process)
    _set_names(program, request.spec)
    attributes.label(program, plan.process)
    if plan.namespaces.makes("network"):
        namespaces.bring_loopback_up(program)
    umask, entering = _enter_root(program, plan)
    channel = plan.channel
    if plan.gate:
        _wait_at_gate(program, channel, plan.gate, plan.process)
        channel = channel.replace(permits=plan.gate.start)
    attributes.reset_signals(program, ignored_signals())
    linux = request.spec.linux
    setup = ProcessSetup(
        process=plan.process,
        memory_policy=linux.memory_policy,
        personality=linux.personality,
        may_set_groups=id_mappings.may_set_groups(linux),
        umask=umask,
        entering=entering,
        capabilities=plan.capabilities,
        seccomp=plan.seccomp,
        channel=channel,
    )
    program.part(become, setup)
    return program


def _set_names(program: Program, spec: Spec) -> None:
    for field, number, name in (
        ("hostname", syscalls.SETHOSTNAME, spec.hostname.encode()),
        ("domainname", syscalls.SETDOMAINNAME, spec.domainname.encode()),
    ):
        if name:
            program.call(f"set {field}", number, name, len(name))


def _enter_root(program: Program, plan: StartPlan) -> tuple[Result, Result]:
    """Move from the host's root file system into the container's.

    Return the results of umask(2), which is the umask of before, and of `attributes.enter`.
    """
    request, process = plan.request, plan.process
    linux = request.spec.linux
    shares_mounts = not plan.namespaces.owns("mount")
    program.step("mount propagation")
    if not shares_mounts:  # else the parent has mounted the root already
        rootfs.prepare(program, request.root, linux.rootfs_propagation)
    sources = _open_sources(program, plan, shares_mounts=shares_mounts)
    host = rootfs.enter(program, request.root)
    if plan.reserved:
        rootfs.place(program, host, plan.reserved.host, plan.reserved.own)
    umask = program.call("set the umask", syscalls.UMASK, 0)
    setup = RootSetup(
        mounts=request.spec.mounts,
        layout=plan.layout,
        masked_paths=linux.masked_paths,
        readonly_paths=linux.readonly_paths,
        sources=sources,
        shares_mounts=shares_mounts,
        terminal=(
            None
            if request.console is None
            else (request.console, process.console_size, process.user.uid)
        ),
        channel=plan.channel,
    )
    program.part(_set_up_root, setup)
    cpu_placement.avoid_none(program, plan.avoided_cpu)
    attributes.schedule(program, process)
    program.step("state")
    plan.channel.wait(program, "its state is saved")
    if plan.has_early_hooks:
        plan.channel.report(program, "its mounts are made")
        plan.channel.wait(program, "the hooks have run")
    if linux.sysctl:  # of network devices too, which hooks may have brought
        from runtime.namespaces import sysctls

        sysctls.write(program, host, linux.sysctl)
    program.step("pivot")
    if plan.empty_namespace is not None:
        program.part(empty_mount_namespace.enter, plan.empty_namespace)
    elif not shares_mounts and request.pivots:
        program.part(rootfs.pivot, host)
    elif not shares_mounts:
        rootfs.move(program, host, request.root)
    departure = Departure(
        needed=plan.needed_to_the_end(),
        kept_descriptors=request.kept_descriptors,
        propagation=linux.rootfs_propagation,
        is_read_only=_is_read_only(request.spec),
        cwd=process.cwd,
        directory=plan.layout.cwd,
        streams=request.streams if request.console is None else None,
        streams_to_give=plan.streams_to_give,
        user=process.user.uid,
    )
    return umask, program.part(_depart, departure)


def _open_sources(program: Program, plan: StartPlan, *, shares_mounts: bool) -> Sources:
    """Open what the container mounts from the host, as long as the child sees the host."""
    request = plan.request
    mounts, linux, opened = request.spec.mounts, request.spec.linux, plan.opened_mounts
    opener = SourceOpener(program, shares_mounts=shares_mounts)
    bound = opener.binds(mounts, request.bundle, opened)
    if plan.has_host_file_systems:
        bound |= opener.file_systems(mounts, request.bundle, request.root.path, opened)
        plan.channel.report(program, "the host's file systems are mounted")
    masked = masking.kinds(linux.masked_paths, mounts)
    return Sources(
        bound=bound,
        cgroups=opener.cgroups(mounts, _bound_cgroups(plan)),
        devices=devices.open_sources(opener, () if plan.makes_devices else plan.layout.devices),
        null=program.part(masking.open_null, masked, shares_mounts),
        reserved=plan.reserved,
    )


def _set_up_root(program: Program, setup: RootSetup) -> None:
    """Make mounts, devices and the terminal in the root, then hide and protect paths. A part."""
    mounting = Mounts(
        program, setup.mounts, setup.layout.mounts, setup.sources, shares_mounts=setup.shares_mounts
    )
    program.step("mounts")
    mounting.attach()
    program.step("limits")
    # No device can be made while the parent writes which devices are allowed.
    setup.channel.wait(program, "its limits are set")
    program.step("devices")
    if not mounting.binds("/dev"):
        nodes = devices.Devices(program, mounting, setup.layout.devices, setup.sources.devices)
        nodes.make()
        nodes.link(proc_is_mounted=mounting.mounts("/proc"))
    if setup.terminal:
        terminal.open_terminal(program, *setup.terminal)
        terminal.mount(program, mounting)
    program.step("masked and read-only paths")
    masking.hide(program, setup.sources.null, masking.kinds(setup.masked_paths, setup.mounts))
    masking.protect(program, masking.kinds(setup.readonly_paths, setup.mounts))
    mounting.finish()


def _bound_cgroups(plan: StartPlan) -> dict[str, str]:
    """Return the cgroups that the container sees by bind mounts, not by mounts of its own.

    In a new namespace as well, those of version 1 are bound. A mount would be one more file system
    for each hierarchy, for which the kernel walks all cgroups and all such file systems of the
    host.
    """
    if not plan.namespaces.owns("cgroup"):
        return plan.cgroup_paths
    if not plan.namespaces.makes("cgroup"):
        return {}
    return {controllers: path for controllers, path in plan.cgroup_paths.items() if controllers}


def _is_read_only(spec: Spec) -> bool:
    return spec.root is not None and spec.root.readonly


def leave_host(program: Program, needed: Iterable[int], kept_descriptors: int) -> None:
    """Close all descriptors but the needed ones: none may lead to a path of the host.

    (CVE-2024-21626)
    """
    first = 3 + kept_descriptors
    for descriptor in sorted(set(needed)):
        if descriptor >= first:
            if descriptor > first:
                program.call("leave the host", syscalls.CLOSE_RANGE, first, descriptor - 1, 0)
            first = descriptor + 1
    program.call("leave the host", syscalls.CLOSE_RANGE, first, _LAST_DESCRIPTOR, 0)


def _depart(program: Program, departure: Departure) -> Result:
    """Close what is left of the host, and enter the working directory. A part.

    Return the result of `attributes.enter`.
    """
    attributes.give_streams(program, departure.streams_to_give, departure.user)
    leave_host(program, departure.needed, departure.kept_descriptors)
    make_directories(program, departure.directory, {"/"})
    rootfs.settle(program, departure.propagation, read_only=departure.is_read_only)
    entering = attributes.enter(program, departure.cwd)
    if departure.streams is not None:
        attributes.place_streams(program, departure.streams)
    attributes.close_from(program, 3 + departure.kept_descriptors)
    return entering


def _wait_at_gate(program: Program, channel: ChildEnd, gate: StartGate, process: Process) -> None:
    """Wait until the container is started; later failures are reported to the process that starts.

    A missing program is reported now: engines expect that failure from `create`.
    """
    executable.look_up(program, process.args, process.env)
    step = "wait to be started"
    # Before the report: the runtime may end right after it, and must not take this process with it.
    program.call(step, syscalls.PRCTL, prctl.SET_PDEATHSIG, 0, 0, 0, 0)
    channel.report(program, "the container is created")
    program.call(step, syscalls.DUP3, gate.report, channel.reports, os.O_CLOEXEC)
    channel.replace(permits=gate.start).wait(program, "the container is started")


def become(program: Program, setup: ProcessSetup) -> None:
    """Give up what the process is not to have, and execute its program. A part."""
    process = setup.process
    program.step("user, capabilities")
    program.call("outlive the runtime", syscalls.PRCTL, prctl.SET_PDEATHSIG, 0, 0, 0, 0)
    rlimits.limit(program, process)
    if setup.memory_policy:
        attributes.set_memory_policy(program, setup.memory_policy)
    if setup.personality:
        attributes.set_personality(program, setup.personality)
    # Without no_new_privs only a process that still has CAP_SYS_ADMIN may load a filter.
    filters_early = not process.no_new_privileges
    if filters_early:
        _load_filter(program, setup.seccomp, setup.channel)
    capabilities.become_user(program, setup)
    if process.no_new_privileges:
        capabilities.forbid_new_privileges(program)
    if not filters_early:
        _load_filter(program, setup.seccomp, setup.channel)
    program.step("exec")
    executable.execute(program, process.args, process.env, setup.path)


def _load_filter(program: Program, seccomp: Filter | None, channel: ChildEnd) -> None:
    """Load the filter, and hand its listener to the parent."""
    if seccomp is None:
        return
    program.step("seccomp")
    listener = attributes.load_filter(program, seccomp)
    if seccomp.listener:
        channel.hand_over(program, listener)

"""What happens between clone and exec, in its order; nothing else runs there.

The parent writes it down as a program of system calls, and the child carries that out. Where they
must meet (ids are to be mapped, hooks to be run) the child says so by a byte, and waits for one.
"""

from __future__ import annotations

import os

from runtime.launcher import cpu_placement
from runtime.launcher.channel import die_with_runtime, fork, hand_over, meet, tell, wait
from runtime.launcher.program import Program
from runtime.linux import syscalls
from runtime.linux.proc import ignored_signals
from runtime.namespaces import id_mappings, namespaces
from runtime.process import attributes, executable, rlimits
from runtime.process import terminal as console
from runtime.rootfs import devices, masking
from runtime.rootfs import empty_mount_namespace as bare
from runtime.rootfs import root as rootfs
from runtime.rootfs.mount_sources import Opening, Places, Sources
from runtime.rootfs.mounts import Mounts, make_directories
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.cgroups import Cgroup
    from runtime.launcher.program import Result
    from runtime.launcher.tracing import Steps
    from runtime.namespaces.namespaces import Namespaces
    from runtime.rootfs.destinations import Layout
    from runtime.rootfs.root import Bundle, Overlay
    from runtime.seccomp.filter import Filter
    from runtime.spec.config import Box, MemoryPolicy, Mount, Personality, Process, Spec

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_LAST_DESCRIPTOR = 0xFFFFFFFF


class Gate(Struct):
    """A container that is created waits here until it is started.

    Descriptors of two FIFOs: a byte from `start` lets it go on, and `report` takes, from then on,
    what fails.
    """

    start: int
    report: int


class Outfit(Struct):
    """What the first process is to have, looked up while it makes its namespaces."""

    wanted: Process
    able: int  # the capabilities that can be had, as bits
    makes_devices: bool  # which no user namespace may
    cgroup_paths: dict[str, str]
    seccomp: Filter | None = None


class Plan(Struct):
    """All that a container's first process is made from, and begins with."""

    spec: Spec
    wanted: Process
    root: Bundle | Overlay
    bundle: str
    layout: Layout
    namespaces: Namespaces
    streams: tuple[int, ...]
    report: int  # where the child tells, and from where it hears
    answer: int
    places: Places | None = None  # descriptors that are the child's to use
    streams_to_give: tuple[
        int, ...
    ] = ()  # to the user, which the parent may not (runtime.process.streams)
    opened: dict[int, int] = {}  # noqa: RUF012 - mounts that the parent has opened, by their number
    console: int | None = None
    gate: Gate | None = None
    keyring: str = ""
    kept_descriptors: int = 0
    meets_for_hooks: bool = False
    tells_of_mounts: bool = False  # of devices, which its cgroup may forbid from then on
    pivots: bool = True
    bare: int | None = None  # a mount namespace with nothing in it, to go to instead
    avoided: int | None = None  # a CPU to keep off while the parent works there
    steps: Steps | None = None  # if it is to tell them

    def watch(self, program: Program) -> None:
        """Have the program tell its steps, if it is to."""
        if self.steps:
            self.steps.watch(program)

    def needed_to_the_end(self) -> list[int]:
        """The descriptors that the child uses once it has left the host."""
        gate = [self.gate.start, self.gate.report] if self.gate else []
        steps = [self.steps.report] if self.steps else []
        streams = self.streams if self.console is None else ()
        return [self.report, self.answer, *gate, *steps, *streams]

    def kept(self) -> list[int]:
        """The descriptors that the child uses."""
        found = [*self.streams, *self.opened.values()]
        found += self.namespaces.by_child()
        found += range(3, 3 + self.kept_descriptors)
        found += [each for each in (self.console, self.bare) if each is not None]
        found += [self.gate.start, self.gate.report] if self.gate else []
        found += [self.places.host, self.places.own, self.places.tree] if self.places else []
        found += [self.steps.report] if self.steps else []
        return list(dict.fromkeys(found))


def launch(program: Program, plan: Plan, cgroup: Cgroup) -> None:
    """What comes before the first exec, which would cost a process its capabilities.

    A process in a user namespace has them all, until it execs without being anybody there.
    """
    plan.watch(program)
    program.step("namespaces")
    if plan.avoided is not None:
        cpu_placement.avoid(program, plan.avoided)
    die_with_runtime(program)
    plan.namespaces.launch(program)
    program.step("join the cgroup")
    wait(program, plan.answer)
    cgroup.join(program)
    if plan.namespaces.makes("cgroup"):
        program.call("make the cgroup namespace", syscalls.UNSHARE, namespaces.FLAGS["cgroup"])
    if plan.namespaces.makes("user"):
        meet(program, plan.report, plan.answer)
    if plan.namespaces.owns("user"):
        id_mappings.become_root_of_user_namespace(
            program, set_groups=id_mappings.may_set_groups(plan.spec.linux)
        )


def write(plan: Plan, outfit: Outfit) -> Program:
    """The program of a container's first process, from its launch on."""
    program = Program()
    plan.watch(program)
    program.step("session, namespaces")
    program.call("hide from others", syscalls.PRCTL, _PR_SET_DUMPABLE, 0, 0, 0, 0)
    if plan.namespaces.forks:
        fork(program, plan.report, plan.answer)
    program.call("lead a session", syscalls.SETSID)
    plan.namespaces.enter(program)
    program.step("names, loopback")
    if plan.namespaces.makes("time"):
        namespaces.make_time_namespace(program, plan.spec.linux)
    if plan.keyring:
        attributes.join_new_keyring(program, plan.keyring)
    attributes.adjust_oom_score(program, plan.wanted)
    _name(program, plan)
    attributes.label(program, plan.wanted)
    if plan.namespaces.makes("network"):
        namespaces.bring_loopback_up(program)
    umask, entering = _enter_root(program, plan, outfit)
    if plan.gate:
        _wait(program, plan, plan.gate, outfit.wanted)
    attributes.reset_signals(program, ignored_signals())
    answer = plan.gate.start if plan.gate else plan.answer
    linux = plan.spec.linux
    program.part(
        become, outfit.wanted, linux.memory_policy, linux.personality,
        id_mappings.may_set_groups(linux), umask, entering, outfit.able, outfit.seccomp,
        plan.report, answer,
    )  # fmt: skip
    return program


def _name(program: Program, plan: Plan) -> None:
    for what, number, name in (
        ("hostname", syscalls.SETHOSTNAME, plan.spec.hostname.encode()),
        ("domainname", syscalls.SETDOMAINNAME, plan.spec.domainname.encode()),
    ):
        if name:
            program.call(f"set {what}", number, name, len(name))


def _enter_root(program: Program, plan: Plan, outfit: Outfit) -> tuple[Result, Result]:
    """From the host's root file system into the container's; the umask that was, and `enter`'s."""
    linux = plan.spec.linux
    shared = not plan.namespaces.owns("mount")
    program.step("mount propagation")
    if not shared:  # a root that the host shares is there already
        rootfs.prepare(program, plan.root, linux.rootfs_propagation)
    sources = _open_sources(program, plan, outfit, shared=shared)
    host = rootfs.enter(program, plan.root)
    if plan.places:
        rootfs.place(program, host, plan.places.host, plan.places.own)
    umask = program.call("set the umask", syscalls.UMASK, 0)
    terminal = (
        None
        if plan.console is None
        else (plan.console, plan.wanted.console_size, plan.wanted.user.uid)
    )
    program.part(
        _furnish, plan.spec.mounts, plan.layout, linux.masked_paths, linux.readonly_paths,
        sources, shared, terminal, plan.answer,
    )  # fmt: skip
    cpu_placement.avoid_none(program, plan.avoided)
    attributes.schedule(program, plan.wanted)
    program.step("state")
    wait(program, plan.answer)  # until it is written down, so that it can live by itself
    if plan.meets_for_hooks:
        meet(program, plan.report, plan.answer)
    if linux.sysctl:  # of network devices too, which hooks may have brought
        from runtime.namespaces import sysctls

        sysctls.write(program, host, linux.sysctl)
    program.step("pivot")
    if plan.bare is not None:
        program.part(bare.enter, plan.bare)
    elif not shared and plan.pivots:
        program.part(rootfs.pivot, host)
    elif not shared:
        rootfs.move(program, host, plan.root)
    streams = plan.streams if plan.console is None else None
    needed = plan.needed_to_the_end()
    entering = program.part(
        _settle_in, needed, plan.kept_descriptors, linux.rootfs_propagation,
        _is_read_only(plan.spec), plan.wanted.cwd, plan.layout.cwd, streams,
        plan.streams_to_give, plan.wanted.user.uid,
    )  # fmt: skip
    return umask, entering


def _open_sources(program: Program, plan: Plan, outfit: Outfit, *, shared: bool) -> Sources:
    """What comes from the host, while it is still seen."""
    linux = plan.spec.linux
    opening = Opening(program, shared=shared)
    bound = opening.binds(plan.spec.mounts, plan.bundle, plan.opened)
    if plan.tells_of_mounts:
        bound |= opening.file_systems(plan.spec.mounts, plan.bundle, plan.root.path, plan.opened)
        tell(program, plan.report)
    cgroups = opening.cgroups(plan.spec.mounts, _bound_cgroups(plan, outfit))
    wanted = () if outfit.makes_devices else plan.layout.devices
    masked = masking.kinds(linux.masked_paths, plan.spec.mounts)
    return Sources(
        bound=bound,
        cgroups=cgroups,
        devices=devices.open_sources(opening, wanted),
        nothing=program.part(masking.open_nothing, masked, shared),
        places=plan.places,
    )


def _furnish(
    program: Program,
    wanted: tuple[Mount, ...],
    layout: Layout,
    masked: tuple[str, ...],
    read_only: tuple[str, ...],
    sources: Sources,
    shared: bool,
    terminal: tuple[int, Box | None, int] | None,
    answer: int,
) -> None:
    """A part: all that is to be in the root, in which the child stands, and what is hidden there.

    `terminal` is the descriptor that a terminal is sent to, its size, and its owner.
    """
    mounting = Mounts(program, wanted, layout.mounts, sources, shared=shared)
    program.step("mounts")
    mounting.attach()
    program.step("limits")
    wait(program, answer)  # no node can be made while it is being said which devices are allowed
    program.step("devices")
    if not mounting.binds("/dev"):
        made = devices.Devices(program, mounting, layout.devices, sources.devices)
        made.make()
        made.link(proc_is_mounted=mounting.mounts("/proc"))
    if terminal:
        console.open_terminal(program, *terminal)
        console.mount(program, mounting)
    program.step("masked and read-only paths")
    masking.hide(program, sources.nothing, masking.kinds(masked, wanted))
    masking.protect(program, masking.kinds(read_only, wanted))
    mounting.finish()


def _bound_cgroups(plan: Plan, outfit: Outfit) -> dict[str, str]:
    """The container's cgroups that it is to see by binds, not by mounts of its own.

    Those of version 1 in a new namespace too, where a mount is a file system more for each
    hierarchy, and makes the kernel walk all cgroups and all such file systems of the host.
    """
    if not plan.namespaces.owns("cgroup"):
        return outfit.cgroup_paths
    if not plan.namespaces.makes("cgroup"):
        return {}
    return {words: path for words, path in outfit.cgroup_paths.items() if words}


def _is_read_only(spec: Spec) -> bool:
    return spec.root is not None and spec.root.readonly


def leave_host(program: Program, needed: Iterable[int], kept_descriptors: int) -> None:
    """Close all that was opened on the host but for what is needed: no path may lead there.

    (CVE-2024-21626)
    """
    first = 3 + kept_descriptors
    for each in sorted(set(needed)):
        if each >= first:
            if each > first:
                program.call("leave the host", syscalls.CLOSE_RANGE, first, each - 1, 0)
            first = each + 1
    program.call("leave the host", syscalls.CLOSE_RANGE, first, _LAST_DESCRIPTOR, 0)


def _settle_in(
    program: Program,
    needed: Sequence[int],
    kept_descriptors: int,
    propagation: str,
    read_only: bool,
    cwd: str,
    directory: str,
    streams: tuple[int, ...] | None,
    to_give: tuple[int, ...],
    user: int,
) -> Result:
    """A part: what is left of the host but these descriptors is let go of; the process is in place.

    `directory` is where `cwd` leads; `streams` are None if its terminal is in their places already.
    """
    attributes.give_streams(program, to_give, user)
    leave_host(program, needed, kept_descriptors)
    make_directories(program, directory, {"/"})
    rootfs.settle(program, propagation, read_only=read_only)
    entering = attributes.enter(program, cwd)
    if streams is not None:
        attributes.place_streams(program, streams)
    attributes.close_from(program, 3 + kept_descriptors)
    return entering


def _wait(program: Program, plan: Plan, gate: Gate, wanted: Process) -> None:
    """Be created, and go on when started; what fails then is for whoever starts it.

    Engines tell a program that is not there from other failures by what `create` says.
    """
    executable.look_up(program, wanted.args, wanted.env)
    what = "be left waiting"
    # Before it is heard of: the runtime may end at once, and must not take this process with it.
    program.call(what, syscalls.PRCTL, _PR_SET_PDEATHSIG, 0, 0, 0, 0)
    tell(program, plan.report)
    program.call(what, syscalls.DUP3, gate.report, plan.report, os.O_CLOEXEC)
    wait(program, gate.start)


def become(
    program: Program,
    wanted: Process,
    memory_policy: MemoryPolicy | None,
    personality: Personality | None,
    may_set_groups: bool,
    umask: Result,
    entering: Result,
    able: int,
    seccomp: Filter | None,
    report: int,
    answer: int,
    path: str = "",
) -> None:
    """A part: give up what the process is not to have, and exec.

    `path` is the file to execute, which is looked up by the first word if it is empty.
    """
    program.step("user, capabilities")
    program.call("live without the runtime", syscalls.PRCTL, _PR_SET_PDEATHSIG, 0, 0, 0, 0)
    rlimits.limit(program, wanted)
    if memory_policy:
        attributes.set_memory_policy(program, memory_policy)
    if personality:
        attributes.set_personality(program, personality)
    # Without no_new_privs only a process that still has CAP_SYS_ADMIN may load a filter.
    early = seccomp is not None and not wanted.no_new_privileges
    if early:
        _filter(program, seccomp, report, answer)
    attributes.become_user(
        program, wanted.user, wanted.capabilities, umask, able, may_set_groups, wanted.cwd, entering
    )
    if wanted.no_new_privileges:
        attributes.forbid_new_privileges(program)
    if not early:
        _filter(program, seccomp, report, answer)
    program.step("exec")
    executable.execute(program, wanted.args, wanted.env, path)


def _filter(program: Program, seccomp: Filter | None, report: int, answer: int) -> None:
    """Load the filter; its listener's descriptor is for the parent to fetch while this waits."""
    if seccomp is None:
        return
    program.step("seccomp")
    listener = attributes.filter_calls(program, seccomp)
    if seccomp.listener:
        hand_over(program, report, answer, listener)

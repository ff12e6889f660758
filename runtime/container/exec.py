"""One more process in a container that runs: into all that is the container's, and no more."""

from __future__ import annotations

import os

from runtime import cgroups
from runtime.container.create import able_in, with_environment
from runtime.container.start_gate import hand_on_listener
from runtime.container.validation import check_process
from runtime.launcher.channel import Meeting, die_with_runtime, fork
from runtime.launcher.descriptors import Descriptors, OpenStreams, check_handed_on
from runtime.launcher.program import Program, Result
from runtime.launcher.rollback import Undo
from runtime.linux import syscalls
from runtime.linux.libc import syscall
from runtime.linux.pidfd import kill, reap
from runtime.linux.proc import ignored_signals
from runtime.linux.users import PASSWD, PASSWD_BYTES
from runtime.namespaces import id_mappings
from runtime.namespaces.namespaces import FILES, Namespaces
from runtime.process import attributes, init, rlimits
from runtime.process import terminal as console
from runtime.process.streams import Owners, user_beside
from runtime.rootfs.destinations import read_in
from runtime.seccomp import cache
from runtime.spec.config import Namespace
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.cgroups import Cgroup
    from runtime.container.state import State
    from runtime.spec.config import Process, Spec

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


class Joined(Struct):
    """The process, a child of ours; `pidfd` is the caller's to close."""

    pid: int
    pidfd: int

    def end(self) -> None:
        """Kill it, and wait for its end."""
        kill(self.pidfd)
        reap(self.pid)
        os.close(self.pidfd)


class Order(Struct):
    """What is to be run in which container, and how."""

    spec: Spec
    state: State
    wanted: Process
    streams: tuple[int, int, int] = (0, 1, 2)
    console: int | None = None
    kept_descriptors: int = 0
    path: str = ""  # the file to execute; without one it is looked up by the first word
    sub_cgroups: tuple[str, ...] = ()  # below the container's, else where its first process is
    warn: Callable[[str], object] = print


def join(order: Order) -> Joined:
    """Run a process in a container. Raises ContainerError, and then nothing is left of it."""
    check_process(order.wanted, order.warn)
    root = f"/proc/{order.state.pid}/root"
    wanted = with_environment(order.wanted, lambda: read_in(root, PASSWD, PASSWD_BYTES))
    with OpenStreams():
        check_handed_on(order.streams, order.kept_descriptors)
        return run_as_given(order.replace(wanted=wanted))


def run_as_given(order: Order) -> Joined:
    """The same of a process that is right, and whose environment is whole."""
    spec, wanted = order.spec, order.wanted
    compiled = cache.compile(spec.linux.seccomp, order.warn) if spec.linux.seccomp else None

    def write(program: Program, spaces: Namespaces, meeting: Meeting) -> None:
        entering = _write(program, order, spaces, root, owners.left, meeting.report, meeting.answer)
        umask = program.call("set the umask", syscalls.UMASK, 0)
        attributes.reset_signals(program, ignored_signals())
        init.become(
            program, wanted, spec.linux.memory_policy, spec.linux.personality,
            id_mappings.may_set_groups(spec.linux), umask, entering, able_in(spaces), compiled,
            meeting.report, meeting.answer, order.path,
        )  # fmt: skip

    with Undo() as undo, Descriptors() as opened:
        owners = _give_streams(order)
        undo(owners.give_back)
        root = opened.hold(os.open(f"/proc/{order.state.pid}/root", os.O_PATH | os.O_CLOEXEC))
        return start(order, write, root)


def start(
    order: Order, write: Callable[[Program, Namespaces, Meeting], None], *kept: int
) -> Joined:
    """Start a process in a container's cgroup and namespaces, for which `write` says what it does.

    `kept` are descriptors that it needs for that. Raises ContainerError.
    """
    spec, pid = order.spec, order.state.pid
    cgroup = _cgroup(order)
    try:
        with Namespaces(_of_process(spec, pid)) as spaces, Meeting() as meeting:
            program = Program()
            _launch(meeting.launch, order, spaces, cgroup)
            program.call("hide from others", syscalls.PRCTL, _PR_SET_DUMPABLE, 0, 0, 0, 0)
            if spaces.forks:
                fork(program, meeting.report, meeting.answer)
            program.call("lead a session", syscalls.SETSID)
            write(program, spaces, meeting)
            needed = [*kept, *order.streams, *spaces.by_child()]
            needed += [order.console] if order.console is not None else []
            needed += range(3, 3 + order.kept_descriptors)
            with Hidden():
                with spaces.entered():
                    child, talk = meeting.start(kept=needed, cgroup=cgroup.clone_descriptor())
                rlimits.raise_hard(child.pid, order.wanted)
                meeting.execute(program, forks=spaces.forks)
                hand_on_listener(talk, spec, order.state, child.pid, child.pidfd)
                talk.finish()
            meeting.release()
    finally:
        cgroup.close()
    return Joined(pid=child.pid, pidfd=child.pidfd)


def _give_streams(order: Order) -> Owners:
    uid, pid = order.wanted.user.uid, order.state.pid
    apart = any(each.type == "user" for each in order.spec.linux.namespaces)
    streams = order.streams if order.console is None else ()
    return Owners(streams, lambda: user_beside(pid, uid) if apart else uid)


def _cgroup(order: Order) -> Cgroup:
    paths = order.state.cgroup_paths
    if order.sub_cgroups or not paths:
        return cgroups.below(paths, order.sub_cgroups)
    return cgroups.of_process(order.state.pid)


class Hidden:
    """Keeps others from this process's memory, which the child has for some microseconds.

    In the container's pid namespace it could be reached by who may trace others there.
    """

    def __enter__(self) -> None:
        self._before = syscall(syscalls.PRCTL, _PR_GET_DUMPABLE, 0, 0, 0, 0)
        syscall(syscalls.PRCTL, _PR_SET_DUMPABLE, 0, 0, 0, 0)

    def __exit__(self, *_: object) -> None:
        syscall(syscalls.PRCTL, _PR_SET_DUMPABLE, self._before, 0, 0, 0)


def _of_process(spec: Spec, pid: int) -> list[Namespace]:
    """The namespaces that the container does not share with the runtime."""
    return [
        Namespace(type=each.type, path=f"/proc/{pid}/ns/{FILES[each.type]}")
        for each in spec.linux.namespaces
    ]


def _launch(launch: Program, order: Order, spaces: Namespaces, cgroup: Cgroup) -> None:
    die_with_runtime(launch)
    affinity = order.wanted.exec_cpu_affinity
    if affinity and affinity.initial:
        attributes.run_on(launch, "process.execCPUAffinity.initial", affinity.initial)
    cgroup.join(launch)
    spaces.launch(launch)
    if spaces.owns("user"):
        may = id_mappings.may_set_groups(order.spec.linux)
        id_mappings.become_root_of_user_namespace(launch, set_groups=may)


def _write(
    program: Program,
    order: Order,
    spaces: Namespaces,
    root: int,
    to_give: Sequence[int],
    report: int,
    answer: int,
) -> Result:
    wanted = order.wanted
    if wanted.exec_cpu_affinity and wanted.exec_cpu_affinity.final:
        attributes.run_on(program, "process.execCPUAffinity.final", wanted.exec_cpu_affinity.final)
    attributes.join_new_keyring(program, order.state.identifier)
    attributes.schedule(program, wanted)
    attributes.adjust_oom_score(program, wanted)
    attributes.label(program, wanted)
    spaces.enter(program)
    program.call("enter the container's root", syscalls.FCHDIR, root)
    program.call("stand in the container's root", syscalls.CHROOT, b".")
    streams = order.streams if order.console is None else ()
    if order.console is not None:
        console.open_terminal(program, order.console, wanted.console_size, wanted.user.uid)
    attributes.give_streams(program, to_give, wanted.user.uid)
    init.leave_host(program, {report, answer, *streams}, order.kept_descriptors)
    entering = attributes.enter(program, wanted.cwd)
    if order.console is None:
        attributes.place_streams(program, streams)
    attributes.close_from(program, 3 + order.kept_descriptors)
    return entering

"""Execute one more process in a running container, in all its namespaces and its cgroup."""

from __future__ import annotations

import os

from runtime import cgroups
from runtime.container.start_gate import hand_on_listener
from runtime.container.validation import check_process
from runtime.launcher.channel import ChildLaunch, die_with_parent
from runtime.launcher.descriptors import Descriptors, OpenStreams, check_handed_on
from runtime.launcher.program import Program, Result
from runtime.launcher.rollback import Rollback
from runtime.linux import prctl, syscalls
from runtime.linux.pidfd import kill, reap
from runtime.linux.proc import ignored_signals
from runtime.linux.users import PASSWD, PASSWD_BYTES
from runtime.namespaces import id_mappings
from runtime.namespaces.namespaces import FILES, Namespaces
from runtime.process import attributes, capabilities, init, rlimits, terminal
from runtime.process.environment import with_environment
from runtime.process.plan import ProcessSetup
from runtime.process.streams import StreamOwners, user_beside
from runtime.rootfs.destinations import read_in
from runtime.seccomp import cache
from runtime.spec.config import Namespace
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.cgroups import Cgroup
    from runtime.container.state import State
    from runtime.launcher.channel import ChildEnd
    from runtime.spec.config import Process, Spec


class ExecProcess(Struct):
    """A process in a container, and a child of this process; `pidfd` is the caller's to close."""

    pid: int
    pidfd: int

    def end(self) -> None:
        """Kill the process and wait for its end."""
        kill(self.pidfd)
        reap(self.pid)
        os.close(self.pidfd)


class ExecRequest(Struct):
    """A process to execute, and the container to execute it in."""

    spec: Spec
    state: State
    process: Process
    streams: tuple[int, int, int] = (0, 1, 2)
    console: int | None = None
    kept_descriptors: int = 0
    path: str = ""  # the file to execute; if empty, it is looked up by the first word
    sub_cgroups: tuple[str, ...] = ()  # below the container's; if empty, its first process's
    warn: Callable[[str], object] = print


def run(request: ExecRequest) -> ExecProcess:
    """Execute a process in a container. Raise ContainerError; then no process is left."""
    check_process(request.process, request.warn)
    root = f"/proc/{request.state.pid}/root"
    process = with_environment(request.process, lambda: read_in(root, PASSWD, PASSWD_BYTES))
    with OpenStreams():
        check_handed_on(request.streams, request.kept_descriptors)
        return run_prepared(request.replace(process=process))


def run_prepared(request: ExecRequest) -> ExecProcess:
    """Execute a process that has been checked and whose environment is complete."""
    linux = request.spec.linux
    seccomp = cache.compile(linux.seccomp, request.warn) if linux.seccomp else None

    def write(program: Program, spaces: Namespaces, channel: ChildEnd) -> None:
        entering = _enter_container(program, request, spaces, root, owners.remaining, channel)
        umask = program.call("set the umask", syscalls.UMASK, 0)
        attributes.reset_signals(program, ignored_signals())
        setup = ProcessSetup(
            process=request.process,
            memory_policy=linux.memory_policy,
            personality=linux.personality,
            may_set_groups=id_mappings.may_set_groups(linux),
            umask=umask,
            entering=entering,
            capabilities=capabilities.available(spaces),
            seccomp=seccomp,
            channel=channel,
            path=request.path,
        )
        init.become(program, setup)

    with Rollback() as undo, Descriptors() as opened:
        owners = _give_streams(request)
        undo(owners.restore)
        root = opened.hold(os.open(f"/proc/{request.state.pid}/root", os.O_PATH | os.O_CLOEXEC))
        return start(request, write, root)


def start(
    request: ExecRequest, write: Callable[[Program, Namespaces, ChildEnd], None], *kept: int
) -> ExecProcess:
    """Start a process in a container's cgroup and namespaces; `write` writes its program.

    `kept` are descriptors that the program needs. Raise ContainerError.
    """
    spec, pid = request.spec, request.state.pid
    cgroup = _cgroup(request)
    try:
        with Namespaces(_of_process(spec, pid)) as spaces, ChildLaunch() as launch:
            program = Program()
            _write_launch(launch.calls, request, spaces, cgroup)
            program.call(
                "hide from other processes", syscalls.PRCTL, prctl.SET_DUMPABLE, 0, 0, 0, 0
            )
            if spaces.forks:
                launch.end.fork(program)
            program.call("lead a session", syscalls.SETSID)
            write(program, spaces, launch.end)
            needed = [*kept, *request.streams, *spaces.by_child()]
            needed += [request.console] if request.console is not None else []
            needed += range(3, 3 + request.kept_descriptors)
            with NonDumpable():
                with spaces.entered():
                    child, channel = launch.start(kept=needed, cgroup=cgroup.clone_descriptor())
                rlimits.raise_hard(child.pid, request.process)
                launch.execute(program, forks=spaces.forks)
                hand_on_listener(channel, spec, request.state, child.pid, child.pidfd)
                channel.await_exec()
            launch.release()
    finally:
        cgroup.close()
    return ExecProcess(pid=child.pid, pidfd=child.pidfd)


def _give_streams(request: ExecRequest) -> StreamOwners:
    uid, pid = request.process.user.uid, request.state.pid
    has_own_users = any(each.type == "user" for each in request.spec.linux.namespaces)
    streams = request.streams if request.console is None else ()
    return StreamOwners(streams, lambda: user_beside(pid, uid) if has_own_users else uid)


def _cgroup(request: ExecRequest) -> Cgroup:
    paths = request.state.cgroup_paths
    if request.sub_cgroups or not paths:
        return cgroups.below(paths, request.sub_cgroups)
    return cgroups.of_process(request.state.pid)


class NonDumpable:
    """Protection of this process's memory from other processes; a context manager.

    The child shares that memory for some microseconds. In the container's PID namespace, a process
    that may trace others could reach it by the child.
    """

    def __enter__(self) -> None:
        self._before = prctl.dumpable()
        prctl.set_dumpable(0)

    def __exit__(self, *_: object) -> None:
        prctl.set_dumpable(self._before)


def _of_process(spec: Spec, pid: int) -> list[Namespace]:
    """Return the namespaces of a process that its configuration names."""
    return [
        Namespace(type=each.type, path=f"/proc/{pid}/ns/{FILES[each.type]}")
        for each in spec.linux.namespaces
    ]


def _write_launch(
    program: Program, request: ExecRequest, spaces: Namespaces, cgroup: Cgroup
) -> None:
    die_with_parent(program)
    affinity = request.process.exec_cpu_affinity
    if affinity and affinity.initial:
        attributes.run_on(program, "process.execCPUAffinity.initial", affinity.initial)
    cgroup.join(program)
    spaces.launch(program)
    if spaces.owns("user"):
        may_set_groups = id_mappings.may_set_groups(request.spec.linux)
        id_mappings.become_root_of_user_namespace(program, set_groups=may_set_groups)


def _enter_container(
    program: Program,
    request: ExecRequest,
    spaces: Namespaces,
    root: int,
    streams_to_give: Sequence[int],
    channel: ChildEnd,
) -> Result:
    """Enter the namespaces, the root and the working directory.

    Return the result of `attributes.enter`.
    """
    process = request.process
    affinity = process.exec_cpu_affinity
    if affinity and affinity.final:
        attributes.run_on(program, "process.execCPUAffinity.final", affinity.final)
    attributes.join_new_keyring(program, request.state.identifier)
    attributes.schedule(program, process)
    attributes.adjust_oom_score(program, process)
    attributes.label(program, process)
    spaces.enter(program)
    program.call("enter the container's root", syscalls.FCHDIR, root)
    program.call("change the root to the container's", syscalls.CHROOT, b".")
    streams = request.streams if request.console is None else ()
    if request.console is not None:
        terminal.open_terminal(program, request.console, process.console_size, process.user.uid)
    attributes.give_streams(program, streams_to_give, process.user.uid)
    needed = {channel.reports, channel.permits, *streams}
    init.leave_host(program, needed, request.kept_descriptors)
    entering = attributes.enter(program, process.cwd)
    if request.console is None:
        attributes.place_streams(program, streams)
    attributes.close_from(program, 3 + request.kept_descriptors)
    return entering

"""Hooks that run in the container's namespaces and cgroup.

createContainer hooks run when the mounts are made and the root is not entered yet. Their paths are
paths of the runtime's root, and they keep the runtime's privileges. startContainer hooks run in the
container after it has left the host. There a path leads to a file of the image, so the hook gets no
more than the container's own process does: its user, capabilities, limits and filter. (OCI
config.md, "POSIX-platform Hooks")
"""

from __future__ import annotations

import os

from runtime.container import hooks
from runtime.container.exec import ExecRequest, run_prepared, start
from runtime.linux import proc, syscalls
from runtime.process.plan import ignore_warning
from runtime.spec.config import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.exec import ExecProcess
    from runtime.container.hooks import Document, Streams
    from runtime.container.state import State
    from runtime.launcher.channel import ChildEnd
    from runtime.launcher.program import Program
    from runtime.namespaces.namespaces import Namespaces
    from runtime.spec.config import Hook, Spec


def run_at_create(spec: Spec, state: State, document: Document) -> None:
    """Run createContainer hooks in the directory that will be the container's root.

    Raise HookFailed.
    """
    unfiltered = spec.replace(linux=spec.linux.replace(seccomp=None))

    def begin(hook: Hook, streams: Streams) -> tuple[int, int]:
        request = ExecRequest(
            spec=unfiltered, state=state, process=Process(cwd="/"), streams=streams
        )
        return _numbers(_start_before_pivot(hook, request))

    hooks.carry_out(spec.hooks.create_container, _as_seen_inside(document), begin)


def run_at_start(spec: Spec, state: State, document: Document) -> None:
    """Run startContainer hooks with the attributes of the container's process.

    Raise HookFailed.
    """
    own = (spec.process or Process(cwd="/")).replace(terminal=False, exec_cpu_affinity=None)

    def begin(hook: Hook, streams: Streams) -> tuple[int, int]:
        request = ExecRequest(
            spec=spec,
            state=state,
            process=own.replace(args=hook.args or (hook.path,), env=hook.env),
            path=hook.path,
            streams=streams,
            warn=ignore_warning,
        )
        return _numbers(run_prepared(request))

    hooks.carry_out(spec.hooks.start_container, _as_seen_inside(document), begin)


def _start_before_pivot(hook: Hook, request: ExecRequest) -> ExecProcess:
    def write(program: Program, namespaces: Namespaces, _: ChildEnd) -> None:
        namespaces.enter(program)
        root = request.state.rootfs
        program.call(f"enter {root}", syscalls.CHDIR, os.fsencode(root))
        hooks.write(program, hook, request.streams)

    return start(request, write)


def _numbers(process: ExecProcess) -> tuple[int, int]:
    return process.pid, process.pidfd


def _as_seen_inside(document: Document) -> Document:
    """Return the document with the PID that the process has in the container."""
    pids = proc.status(document.pid, "NSpid") or str(document.pid)
    return document.replace(pid=int(pids.split()[-1]))

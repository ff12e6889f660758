"""The hooks of a container that are run in its namespaces and in its cgroup.

createContainer hooks are run once its mounts are there and before pivot_root: their paths are the
runtime's, and they may do all that it may. startContainer hooks are run in the container, which has
left the host by then: a path there leads to what an image has, so that they are given what the
container's own process is given, its user, capabilities, limits and filter, and no more. (OCI
config.md, "POSIX-platform Hooks")
"""

from __future__ import annotations

import os

from runtime.container import hooks
from runtime.container.create import silent
from runtime.container.exec import Joined, Order, run_as_given, start
from runtime.linux import proc, syscalls
from runtime.spec.config import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.hooks import Document, Streams
    from runtime.container.state import State
    from runtime.launcher.channel import Meeting
    from runtime.launcher.program import Program
    from runtime.namespaces.namespaces import Namespaces
    from runtime.spec.config import Hook, Spec


def run_at_create(spec: Spec, state: State, document: Document) -> None:
    """Run createContainer hooks, in the directory that is to be the container's root.

    Raises HookFailed.
    """
    unfiltered = spec.replace(linux=spec.linux.replace(seccomp=None))

    def begin(hook: Hook, streams: Streams) -> tuple[int, int]:
        order = Order(spec=unfiltered, state=state, wanted=Process(cwd="/"), streams=streams)
        return _process(_before_pivot(hook, order))

    hooks.carry_out(spec.hooks.create_container, _seen_inside(document), begin)


def run_at_start(spec: Spec, state: State, document: Document) -> None:
    """Run startContainer hooks, as the container's process will be. Raises HookFailed."""
    like = (spec.process or Process(cwd="/")).replace(terminal=False, exec_cpu_affinity=None)

    def begin(hook: Hook, streams: Streams) -> tuple[int, int]:
        wanted = like.replace(args=hook.args or (hook.path,), env=hook.env)
        order = Order(
            spec=spec, state=state, wanted=wanted, path=hook.path, streams=streams, warn=silent
        )
        return _process(run_as_given(order))

    hooks.carry_out(spec.hooks.start_container, _seen_inside(document), begin)


def _before_pivot(hook: Hook, order: Order) -> Joined:
    def write(program: Program, spaces: Namespaces, _: Meeting) -> None:
        spaces.enter(program)
        root = order.state.rootfs
        program.call(f"enter {root}", syscalls.CHDIR, os.fsencode(root))
        hooks.write(program, hook, order.streams)

    return start(order, write)


def _process(joined: Joined) -> tuple[int, int]:
    return joined.pid, joined.pidfd


def _seen_inside(document: Document) -> Document:
    """The document with the pid that the process has in the container. (proc_pid_status(5))"""
    pids = proc.status(document.pid, "NSpid") or str(document.pid)
    return document.replace(pid=int(pids.split()[-1]))

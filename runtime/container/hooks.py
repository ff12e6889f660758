"""Hooks: programs that a configuration wants run at points of a container's life.

These are the runtime's own, run where the runtime is: prestart and createRuntime once the
container's namespaces and mounts are there and before pivot_root, poststart once its program runs,
poststop once it is deleted. runtime.process.namespace_hooks has those of the container. (OCI
config.md, "POSIX-platform Hooks")
"""

from __future__ import annotations

import os

from runtime.errors import ContainerError, HookFailed
from runtime.launcher.channel import Meeting
from runtime.launcher.program import Program
from runtime.linux import syscalls
from runtime.linux.pidfd import ended_within, kill, reap
from runtime.linux.proc import ignored_signals
from runtime.process.attributes import close_from, place_streams, reset_signals
from runtime.process.executable import execute
from runtime.spec.json_structs import Struct, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar

    from runtime.spec.config import Hook, Hooks

    Streams = tuple[int, int, int]
    Start = Callable[[Hook, Streams], tuple[int, int]]

_KEPT_BYTES = 2000


class Document(Struct):
    """The state of a container, which a hook reads on stdin. (OCI runtime.md, "State")"""

    RENAMED: ClassVar[dict[str, str]] = {"identifier": "id"}

    oci_version: str
    identifier: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str]


def run(hooks: Iterable[Hook], document: Document) -> None:
    """Run hooks in their order, in the runtime's namespaces and in the bundle's directory.

    Raises HookFailed for one that fails or takes longer than it may.
    """
    carry_out(hooks, document, lambda hook, streams: _start(hook, document.bundle, streams))


def run_poststop(wanted: Hooks, document: Document) -> None:
    """Run poststop hooks; a failure is written to stderr and changes nothing."""
    for hook in wanted.poststop:
        try:
            run((hook,), document)
        except HookFailed as error:
            os.write(2, f"{error}\n".encode())


def carry_out(hooks: Iterable[Hook], document: Document, start: Start) -> None:
    """Run hooks, each to its end; `start` returns the pid of one and a pidfd of it.

    Raises HookFailed.
    """
    for hook in hooks:
        _carry_out(hook, document, start)


def _carry_out(hook: Hook, document: Document, start: Start) -> None:
    # Not a pipe: its end is seen by a hook that reads on, and it takes what nobody reads.
    stdin = os.memfd_create("state", os.MFD_CLOEXEC)
    said = os.memfd_create("said", os.MFD_CLOEXEC)
    try:
        os.pwrite(stdin, encode(document).encode(), 0)
        try:
            pid, pidfd = start(hook, (stdin, said, said))
        except ContainerError as error:
            raise HookFailed(f"The hook {hook.path} can't be run: {error}") from error
        _await(hook, pid, pidfd, said)
    finally:
        for descriptor in (stdin, said):
            os.close(descriptor)


def write(program: Program, hook: Hook, streams: Streams) -> None:
    """Execute a hook with what it is to have, and nothing else."""
    place_streams(program, streams)
    close_from(program, 3)
    reset_signals(program, ignored_signals())
    execute(program, hook.args or (hook.path,), hook.env, hook.path)


def _start(hook: Hook, bundle: str, streams: Streams) -> tuple[int, int]:
    with Meeting() as meeting:
        program = Program()
        # When a container is deleted, its bundle may have been before.
        directory = bundle if os.path.isdir(bundle) else "/"
        program.call(f"enter {directory}", syscalls.CHDIR, os.fsencode(directory))
        write(program, hook, streams)
        child, talk = meeting.start(kept=streams)
        meeting.execute(program)
        talk.finish()
        meeting.release()
    return child.pid, child.pidfd


def _await(hook: Hook, pid: int, pidfd: int, said: int) -> None:
    timely = ended_within(pidfd, hook.timeout)
    if not timely:
        kill(pidfd)
    code = reap(pid)
    os.close(pidfd)
    if not timely:
        raise HookFailed(f"The hook {hook.path} took longer than {hook.timeout} s.")
    if code:
        text = os.pread(said, _KEPT_BYTES, 0).decode(errors="replace").strip()
        raise HookFailed(f"The hook {hook.path} failed with exit code {code}: {text}")

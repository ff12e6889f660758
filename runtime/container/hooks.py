"""Hooks that run in the runtime's namespaces.

prestart and createRuntime run when the container's namespaces and mounts are made and its root is
not entered yet; poststart when its program runs; poststop when it is deleted. Hooks that run in
the container's namespaces are in container.namespace_hooks. (OCI config.md, "POSIX-platform Hooks")
"""

from __future__ import annotations

import os

from runtime.container.state import State
from runtime.errors import ContainerError, HookFailed
from runtime.launcher.channel import ChildLaunch
from runtime.launcher.program import Program
from runtime.linux import syscalls
from runtime.linux.pidfd import ended_within, kill, reap
from runtime.linux.proc import ignored_signals
from runtime.process.attributes import close_from, place_streams, reset_signals
from runtime.process.executable import execute
from runtime.spec.json_structs import Struct, encode
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar

    from runtime.process.plan import StartRequest
    from runtime.spec.config import Hook, Hooks

    Streams = tuple[int, int, int]
    Start = Callable[[Hook, Streams], tuple[int, int]]

_QUOTED_BYTES = 2000


class Document(Struct):
    """The state of a container, which a hook reads from stdin. (OCI runtime.md, "State")"""

    RENAMED: ClassVar[dict[str, str]] = {"identifier": "id"}

    oci_version: str
    identifier: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str]


def document(state: State, status: str) -> Document:
    """Return the document of a container that has this status."""
    return Document(
        oci_version=SPECIFICATION,
        identifier=state.identifier,
        status=status,
        pid=0 if status == "stopped" else state.pid,
        bundle=state.bundle,
        annotations=state.annotations,
    )


def document_of_failed(request: StartRequest) -> Document:
    """Return the document of a container whose creation failed."""
    state = State(
        identifier=request.identifier,
        pid=0,
        bundle=request.bundle,
        annotations=request.spec.annotations,
    )
    return document(state, "stopped")


def run(hooks: Iterable[Hook], document: Document) -> None:
    """Run hooks in order, in the bundle's directory.

    Raise HookFailed for a hook that fails or exceeds its timeout; later hooks do not run.
    """
    carry_out(hooks, document, lambda hook, streams: _start(hook, document.bundle, streams))


def run_poststop(hooks: Hooks, document: Document) -> None:
    """Run poststop hooks; write failures to stderr and go on."""
    for hook in hooks.poststop:
        try:
            run((hook,), document)
        except HookFailed as error:
            os.write(2, f"{error}\n".encode())


def carry_out(hooks: Iterable[Hook], document: Document, start: Start) -> None:
    """Run hooks in order by `start`, which returns the PID and a pidfd of a hook's process.

    Raise HookFailed.
    """
    for hook in hooks:
        _carry_out(hook, document, start)


def _carry_out(hook: Hook, document: Document, start: Start) -> None:
    # Files, not pipes: a hook that reads on comes to the end, and nobody must read its output.
    stdin = os.memfd_create("state", os.MFD_CLOEXEC)
    output = os.memfd_create("output", os.MFD_CLOEXEC)
    try:
        os.pwrite(stdin, encode(document).encode(), 0)
        try:
            pid, pidfd = start(hook, (stdin, output, output))
        except ContainerError as error:
            raise HookFailed(f"The hook {hook.path} can't be run: {error}") from error
        _await(hook, pid, pidfd, output)
    finally:
        for descriptor in (stdin, output):
            os.close(descriptor)


def write(program: Program, hook: Hook, streams: Streams) -> None:
    """Write the calls that execute a hook with its streams and no other descriptor."""
    place_streams(program, streams)
    close_from(program, 3)
    reset_signals(program, ignored_signals())
    execute(program, hook.args or (hook.path,), hook.env, hook.path)


def _start(hook: Hook, bundle: str, streams: Streams) -> tuple[int, int]:
    with ChildLaunch() as launch:
        program = Program()
        # The bundle of a container that is deleted may have been removed before.
        directory = bundle if os.path.isdir(bundle) else "/"
        program.call(f"enter {directory}", syscalls.CHDIR, os.fsencode(directory))
        write(program, hook, streams)
        child, channel = launch.start(kept=streams)
        launch.execute(program)
        channel.await_exec()
        launch.release()
    return child.pid, child.pidfd


def _await(hook: Hook, pid: int, pidfd: int, output: int) -> None:
    in_time = ended_within(pidfd, hook.timeout)
    if not in_time:
        kill(pidfd)
    code = reap(pid)
    os.close(pidfd)
    if not in_time:
        raise HookFailed(f"The hook {hook.path} took longer than its timeout, {hook.timeout} s.")
    if code:
        text = os.pread(output, _QUOTED_BYTES, 0).decode(errors="replace").strip()
        raise HookFailed(f"The hook {hook.path} failed with exit code {code}: {text}")

"""The programs that a configuration wants run at points of a container's life.

(OCI config.md, "POSIX-platform Hooks")
"""

from __future__ import annotations

import os

from runtime.document import Struct, encode
from runtime.errors import ContainerError, HookFailed
from runtime.linux.process import ended_within, kill, reap
from runtime.linux.program import Program
from runtime.meeting import Meeting, fork
from runtime.namespaces import FILES, Namespaces
from runtime.process import close_from, execute, place_streams, reset_signals
from runtime.spec import Namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import ClassVar

    from runtime.linux.spawn import Child
    from runtime.spec import Hook

_KEPT_BYTES = 2000


class Document(Struct):
    """What a hook is told of its container, on stdin. (OCI runtime.md, "State")"""

    RENAMED: ClassVar[dict[str, str]] = {"identifier": "id"}

    oci_version: str
    identifier: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str]


def run(hooks: Iterable[Hook], document: Document) -> None:
    """Run hooks in their order, in the runtime's namespaces.

    Raises HookFailed for one that fails or takes longer than it may.
    """
    for hook in hooks:
        _run(hook, encode(document).encode(), Namespaces(()))


def run_inside(hooks: Iterable[Hook], document: Document, pid: int, kinds: Iterable[str]) -> None:
    """Run hooks in those namespaces of a container's first process.

    Raises HookFailed for one that fails or takes longer than it may.
    """
    for hook in hooks:
        paths = [Namespace(type=kind, path=f"/proc/{pid}/ns/{FILES[kind]}") for kind in kinds]
        with Namespaces(paths) as inside:
            _run(hook, encode(document).encode(), inside)


def _run(hook: Hook, document: bytes, inside: Namespaces) -> None:
    # Not a pipe: its end is seen by a hook that reads on, and it takes what nobody reads.
    stdin = os.memfd_create("state", os.MFD_CLOEXEC)
    said = os.memfd_create("said", os.MFD_CLOEXEC)
    try:
        os.pwrite(stdin, document, 0)
        with Meeting() as meeting:
            program = Program()
            inside.launch(meeting.launch)
            inside.enter(meeting.launch)
            if inside.forks:
                fork(program, meeting.report, meeting.answer)
            place_streams(program, (stdin, said, said))
            close_from(program, 3)
            reset_signals(program)
            execute(program, hook.args or (hook.path,), hook.env, hook.path)
            with inside.entered():
                child, talk = meeting.start(kept=(stdin, said, *inside.by_child()))
            meeting.execute(program, forks=inside.forks)
            try:
                talk.finish()
            except ContainerError as error:
                raise HookFailed(f"The hook {hook.path} can't be run: {error}") from error
            meeting.release()
        _await(hook, child, said)
    finally:
        for descriptor in (stdin, said):
            os.close(descriptor)


def _await(hook: Hook, child: Child, said: int) -> None:
    timely = ended_within(child.pidfd, hook.timeout)
    if not timely:
        kill(child.pidfd)
    code = reap(child.pid)
    os.close(child.pidfd)
    if not timely:
        raise HookFailed(f"The hook {hook.path} took longer than {hook.timeout} s.")
    if code:
        text = os.pread(said, _KEPT_BYTES, 0).decode(errors="replace").strip()
        raise HookFailed(f"The hook {hook.path} failed with exit code {code}: {text}")

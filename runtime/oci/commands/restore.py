"""`restore`: restore a container from a checkpoint, by criu."""

from __future__ import annotations

import os

from runtime.container.checkpoint import restore
from runtime.launcher.rollback import Rollback
from runtime.oci.arguments import SWITCH
from runtime.oci.commands.bundle_command import BundleCommand
from runtime.oci.commands.checkpoint import OPTIONS, chosen
from runtime.oci.foreground import Foreground
from runtime.oci.pid_file import PidFile
from runtime.process.plan import StartRequest
from runtime.rootfs.root import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.container import Container
    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Restore the container; return the exit code of its program, or 0 with --detach."""
    command = BundleCommand(words, {**OPTIONS, "--detach": SWITCH, "--keep": SWITCH})
    if command.options.has("--detach"):
        _restore(command, settings)
        return 0
    with Foreground(terminal=False) as foreground:
        container = _restore(command, settings)
        with Rollback() as undo:
            undo(container.__exit__)
            code = foreground.accompany(container.pid, container.pidfd)
    container.ended_with(code)
    if not command.options.has("--keep"):
        container.delete(force=True)
    return code


def _restore(command: BundleCommand, settings: Settings) -> Container:
    request = StartRequest(
        identifier=command.identifier,
        spec=command.spec,
        root=Bundle(os.path.realpath(command.rootfs)),
        bundle=command.bundle,
        cgroup_manager=settings.cgroup_manager,
    )
    with PidFile(command.options.value("--pid-file")) as pid_file, Rollback() as undo:
        container = restore(request, chosen(command.options, settings), settings.root)
        undo(container.__exit__)
        pid_file.write(container.pid)
    return container

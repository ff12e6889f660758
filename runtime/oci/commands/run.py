"""`run`: create and start a container; in the foreground also wait for its end, and delete it."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.launcher.rollback import Rollback
from runtime.oci.arguments import SWITCH
from runtime.oci.commands.bundle_command import BundleCommand, terminal_receiver
from runtime.oci.foreground import Foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.container import Container
    from runtime.oci.cli import Settings
    from runtime.oci.sd_notify import NotifySocket


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Run the container; return the exit code of its program, or 0 with --detach."""
    command = BundleCommand(words, {"--detach": SWITCH, "--keep": SWITCH})
    detached = command.options.has("--detach")
    receiver = terminal_receiver(command.options, command.has_terminal, detached=detached)
    if detached:
        terminal = receiver.fileno() if receiver else None
        container = command.create(settings, waits=command.is_service, terminal=terminal)
        if command.is_service:
            from runtime.oci import sd_notify

            with Rollback() as undo:
                undo(container.__exit__)
                sd_notify.start(container)
        return 0
    with Foreground(terminal=command.has_terminal and receiver is None) as foreground:
        terminal = receiver.fileno() if receiver else foreground.receiver()
        container = command.create(settings, waits=command.is_service, terminal=terminal)
        with Rollback() as undo:
            undo(container.__exit__)
            notify = _start_service(container) if command.is_service else None
            code = foreground.accompany(container.pid, container.pidfd, notify)
    container.ended_with(code)
    if not command.options.has("--keep"):
        try:
            container.delete(force=True)
        except ContainerError as error:  # the exit code remains that of the program
            settings.fail(f"{error} Remove the rest with `delete --force {command.identifier}`.")
    return code


def _start_service(container: Container) -> NotifySocket:
    """Start a service; return the socket that forwards its messages while we wait for it."""
    from runtime.oci.sd_notify import NotifySocket

    with Rollback() as undo:
        notify = NotifySocket(container.notify_directory)
        undo(notify.close)
        container.start()
    return notify

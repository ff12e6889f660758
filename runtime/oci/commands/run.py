"""`run`: create, start, and in the foreground wait for the end and delete."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.launcher.rollback import Undo
from runtime.oci.arguments import SWITCH
from runtime.oci.commands.bundle_command import Order, terminal_receiver
from runtime.oci.foreground import Foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.container import Container
    from runtime.oci.cli import Settings
    from runtime.oci.sd_notify import NotifySocket


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Run it; the exit code of its program, or 0 if that is left to run by itself."""
    order = Order(words, {"--detach": SWITCH, "--keep": SWITCH})
    detached = order.options.has("--detach")
    receiver = terminal_receiver(order.options, order.has_terminal)
    if detached:
        if order.has_terminal and receiver is None:
            raise ContainerError("A terminal that nobody is at needs --console-socket.")
        terminal = receiver.fileno() if receiver else None
        container = order.carry_out(settings, waits=order.is_service, terminal=terminal)
        if order.is_service:
            from runtime.oci import sd_notify

            with Undo() as undo:
                undo(container.__exit__)
                sd_notify.start(container)
        return 0
    with Foreground(terminal=order.has_terminal and receiver is None) as foreground:
        terminal = receiver.fileno() if receiver else foreground.receiver()
        container = order.carry_out(settings, waits=order.is_service, terminal=terminal)
        with Undo() as undo:
            undo(container.__exit__)
            notify = _start_service(container) if order.is_service else None
            code = foreground.accompany(container.pid, container.pidfd, notify)
    container.ended_with(code)
    if not order.options.has("--keep"):
        try:
            container.delete(force=True)
        except ContainerError as error:  # the program has ended as it has all the same
            settings.fail(f"{error} Remove the rest by `delete --force {order.identifier}`.")
    return code


def _start_service(container: Container) -> NotifySocket:
    """Start a service; what it says is to be passed on for as long as it is accompanied."""
    from runtime.oci.sd_notify import NotifySocket

    with Undo() as undo:
        notify = NotifySocket(container.notify_directory)
        undo(notify.close)
        container.start()
    return notify

"""`run`: create, start, and in the foreground wait for the end and delete."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.foreground import Foreground
from runtime.options import SWITCH
from runtime.verbs.bundles import Order, terminal_receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci_cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Run it; the exit code of its program, or 0 if that is left to run by itself."""
    order = Order(words, {"--detach": SWITCH, "--keep": SWITCH})
    detached = order.options.has("--detach")
    receiver = terminal_receiver(order.options, order.has_terminal)
    if detached:
        if order.has_terminal and receiver is None:
            raise ContainerError("A terminal that nobody is at needs --console-socket.")
        order.carry_out(settings, waits=False, terminal=receiver.fileno() if receiver else None)
        return 0
    with Foreground(terminal=order.has_terminal and receiver is None) as foreground:
        terminal = receiver.fileno() if receiver else foreground.receiver()
        container = order.carry_out(settings, waits=False, terminal=terminal)
        code = foreground.accompany(container.pid, container.pidfd)
    container.ended_with(code)
    if not order.options.has("--keep"):
        container.delete(force=True)
    return code

"""`create`: a container that is set up and waits to be started."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.oci.commands.bundle_command import Order, terminal_receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Create it."""
    order = Order(words, {})
    receiver = terminal_receiver(order.options, order.has_terminal)
    if order.has_terminal and receiver is None:
        raise ContainerError("A terminal that nobody is at needs --console-socket.")
    order.carry_out(settings, waits=True, terminal=receiver.fileno() if receiver else None)
    return 0

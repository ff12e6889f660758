"""`create`: set up a container, which then waits for `start`."""

from __future__ import annotations

from runtime.oci.commands.bundle_command import BundleCommand, terminal_receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Create the container, with its process waiting before exec."""
    command = BundleCommand(words, {})
    receiver = terminal_receiver(command.options, command.has_terminal, detached=True)
    command.create(settings, waits=True, terminal=receiver.fileno() if receiver else None)
    return 0

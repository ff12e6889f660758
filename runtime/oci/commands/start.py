"""`start`: start the program of a created container."""

from __future__ import annotations

import os

from runtime.container.container import Container
from runtime.oci.arguments import only_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Start the program; wait until a service is ready."""
    container = Container.load(only_container(words), settings.root)
    if os.environ.get("NOTIFY_SOCKET") and os.path.isdir(container.notify_directory):
        from runtime.oci import sd_notify

        sd_notify.start(container)
    else:
        container.start()
    return 0

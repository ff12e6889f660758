"""`start`: the program of a container that was created runs."""

from __future__ import annotations

from runtime.container import Container
from runtime.verbs.naming import only_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci_cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Start it."""
    Container.load(only_name(words), settings.root).start()
    return 0

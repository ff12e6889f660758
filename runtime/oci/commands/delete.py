"""`delete`: nothing is left of a container."""

from __future__ import annotations

from runtime.container.container import Container, remove_half_made
from runtime.container.state import StateDirectory
from runtime.errors import ContainerError
from runtime.oci.arguments import SWITCH, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Delete those that are named; --force kills what runs, and forgives what is not there."""
    options = parse(words, {"--force": SWITCH}, {"-f": "--force"}, mixed=True)
    if not options.words:
        raise ContainerError("Name a container.")
    for name in options.words:
        _delete(name, settings, force=options.has("--force"))
    return 0


def _delete(name: str, settings: Settings, *, force: bool) -> None:
    try:
        container = Container.load(name, settings.root)
    except ContainerError:
        directory = StateDirectory(settings.root, name)
        if not force:
            raise
        if directory.exists():
            remove_half_made(directory)
        return
    container.delete(force=force)

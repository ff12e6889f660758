"""All containers below a root directory of the runtime."""

from __future__ import annotations

import os

from runtime.container.container import DEFAULT_ROOT, STOPPED, Container
from runtime.container.removal import remove_incomplete
from runtime.container.state import StateDirectory, names
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike


def all_below(
    root: str = DEFAULT_ROOT, identifiers: Sequence[str] | None = None
) -> Iterator[Container]:
    """Yield the containers below a root, or those of these names.

    A container that is gone, or whose state can't be read, is left out.
    """
    for identifier in names(root) if identifiers is None else identifiers:
        try:
            container = Container.load(identifier, root)
        except ContainerError:
            continue
        yield container


def clean(root: str | PathLike[str]) -> list[str]:
    """Kill and remove every container below `root`; return a line for each step.

    Containers that another process still uses are removed as well.
    """
    lines = []
    for name in names(os.fspath(root)):
        directory = StateDirectory(os.fspath(root), name)
        try:
            container = Container.load(name, os.fspath(root))
        except ContainerError:  # the process that created it was killed before it wrote the state
            lines += remove_incomplete(directory)
            continue
        if container.status != STOPPED:
            lines.append(f"killed process {container.pid} of container {name}")
        container.delete(force=True)
        lines.append(f"removed container {name}")
    return lines

"""`restore`: a container that `checkpoint` has written runs on, by criu."""

from __future__ import annotations

import os

from runtime.checkpoint import restore
from runtime.creation import Request
from runtime.foreground import Foreground
from runtime.options import SWITCH
from runtime.pid_file import PidFile
from runtime.rootfs import Bundle
from runtime.undo import Undo
from runtime.verbs.bundles import Order
from runtime.verbs.checkpoint import OPTIONS, chosen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container import Container
    from runtime.oci_cli import Settings


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Restore it; the exit code of its program, or 0 if that is left to run by itself."""
    order = Order(words, {**OPTIONS, "--detach": SWITCH, "--keep": SWITCH})
    if order.options.has("--detach"):
        _restore(order, settings)
        return 0
    with Foreground(terminal=False) as foreground:
        container = _restore(order, settings)
        with Undo() as undo:
            undo(container.__exit__)
            code = foreground.accompany(container.pid, container.pidfd)
    container.ended_with(code)
    if not order.options.has("--keep"):
        container.delete(force=True)
    return code


def _restore(order: Order, settings: Settings) -> Container:
    request = Request(
        identifier=order.identifier,
        spec=order.spec,
        root=Bundle(os.path.realpath(order.rootfs)),
        bundle=order.bundle,
        cgroup_manager=settings.cgroup_manager,
    )
    with PidFile(order.options.value("--pid-file")) as pid_file, Undo() as undo:
        made = restore(request, chosen(order.options, settings), settings.root)
        undo(made.__exit__)
        pid_file.write(made.pid)
    return made

"""`restore`: a container that `checkpoint` has written runs on, by criu."""

from __future__ import annotations

import os

from runtime.container.checkpoint import restore
from runtime.container.create import Request
from runtime.launcher.rollback import Undo
from runtime.oci.arguments import SWITCH
from runtime.oci.commands.bundle_command import Order
from runtime.oci.commands.checkpoint import OPTIONS, chosen
from runtime.oci.foreground import Foreground
from runtime.oci.pid_file import PidFile
from runtime.rootfs.root import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.container import Container
    from runtime.oci.cli import Settings


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

"""Starts in which the guest runs before libvirt has completed them.

Before libvirt lets a machine run, it asks QEMU some four hundred questions about the CPU, one by
one. Our own monitor connects the ports and resumes the guest meanwhile. libvirt learns of it from
QEMU's event, as of any other resume.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vms.qemu.qmp import Monitor


class Origin(Protocol):
    """A state that a machine begins from instead of a cold boot."""

    def qemu_arguments(self) -> Sequence[str]:
        """Return the arguments that QEMU needs to begin from it."""

    def load(self, monitor: Monitor) -> None:
        """Load the state into QEMU. Raise MachineError."""


@contextmanager
def in_background(act: Callable[[], object], give_up: Callable[[], object]) -> Iterator[None]:
    """Run `act` in another thread while the block runs, and wait for it at the end.

    If the block raises, call `give_up`, which must end `act`, and raise the block's exception.
    Otherwise raise the exception of `act`, if any.
    """
    with ThreadPoolExecutor(1) as threads:
        acting = threads.submit(act)
        try:
            yield
        except BaseException:
            give_up()
            raise
        acting.result()

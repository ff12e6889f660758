"""What can be done inside a machine, whichever agent does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: 128 + n if signal n ended it; `elapsed_ns` by the guest's clock."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    elapsed_ns: int


class Inside(Protocol):
    """An agent in a machine: `guest.tonnage_agent`, or `guest.qemu_guest_agent`."""

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end. Raises MachineError if it does not end in time."""

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """A file's content, a block at a time, each within that time. Raises MachineError."""

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Put a file there whole: it has its name once all of it has come. Raises MachineError."""

    def answers(self, timeout_seconds: float) -> bool:
        """Whether it does within that time."""

    def shut_down(self) -> None:
        """Ask for the machine's end, and don't wait for it. Raises MachineError if nobody hears."""

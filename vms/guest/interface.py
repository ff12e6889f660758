"""The interface of the agents that work inside a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command in a guest.

    The exit code is 128 + n if signal n ended the command; `elapsed_ns` is by the guest's clock.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    elapsed_ns: int


class Inside(Protocol):
    """An agent in a machine: `guest.tonnage_agent` or `guest.qemu_guest_agent`."""

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end. Raises MachineError, also if it does not end in time."""

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """Yield a file's content in blocks; the timeout is for each block. Raises MachineError."""

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Write a file; it appears under its path once it is complete. Raises MachineError.

        The timeout is for each block.
        """

    def answers(self, timeout_seconds: float) -> bool:
        """Return True if the agent answers within the timeout."""

    def shut_down(self) -> None:
        """Ask the guest to shut down and return at once.

        Raises MachineError if the agent can't be reached.
        """

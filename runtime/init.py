"""What happens between clone and exec; nothing else runs there.

The parent prepares every call, with its arguments encoded, before it clones. The child makes the
calls in their order, and execs. The first that fails goes back as its place in the list and its
errno; a pipe that is closed by exec says that all went well.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REPORT = struct.Struct("ii")


@dataclass(frozen=True, slots=True)
class Step:
    """One call for the child to make; `what` completes the sentence "can't …"."""

    what: str
    call: Callable[..., object]
    arguments: tuple[Any, ...] = ()


def become(steps: Sequence[Step], report_fd: int) -> NoReturn:
    """Make the calls, the last of which execs; report the first that fails, and exit."""
    place = 0
    code = 0
    try:
        for place, step in enumerate(steps):  # noqa: B007 - read where a call fails
            step.call(*step.arguments)
    except OSError as error:
        code = error.errno or 0
    finally:
        os.write(report_fd, _REPORT.pack(place, code))
        os._exit(127)


def failure(report_fd: int, steps: Sequence[Step]) -> tuple[str, int] | None:
    """What failed in the child and its errno; None once it has execed. Blocks until either."""
    report = os.read(report_fd, _REPORT.size)
    if not report:
        return None
    place, code = _REPORT.unpack(report)
    return steps[place].what, code

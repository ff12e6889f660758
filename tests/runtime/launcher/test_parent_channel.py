"""The parent's end of the channel: messages, permits, and the report of a failure."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from runtime import ContainerError
from runtime.launcher.parent_channel import PERMIT_BYTES, REACHED, Channel
from runtime.launcher.program import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ends:
    """A channel, and the child's ends of it."""

    def __init__(self) -> None:
        self.reading, self.reports = os.pipe()
        self.permits = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        self.channel = Channel(self.reading, self.permits, lambda _: ("mount /proc", errno.EPERM))


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    for descriptor in (ends.reading, ends.permits):
        os.close(descriptor)


def test_messages_are_awaited_in_order(ends: Ends) -> None:
    os.write(ends.reports, REACHED + REACHED + b"\0" * 7 + (258).to_bytes(8, "little"))
    ends.channel.await_mounts()
    assert ends.channel.await_listener() == 258
    os.close(ends.reports)
    ends.channel.await_exec()


def test_each_permit_lets_the_child_go_on_once(ends: Ends) -> None:
    os.close(ends.reports)
    ends.channel.cgroup_made()
    ends.channel.ids_mapped()
    assert [os.eventfd_read(ends.permits) for _ in range(2)] == [1, 1]
    with pytest.raises(BlockingIOError):
        os.read(ends.permits, PERMIT_BYTES)


@pytest.mark.parametrize("message", ["await_mounts", "await_fork", "await_exec"])
def test_a_failed_step_is_named(ends: Ends, message: str) -> None:
    os.write(ends.reports, REPORT.pack(errno.EPERM, 0))
    os.close(ends.reports)
    with pytest.raises(ContainerError, match=r"^Can't mount /proc: operation not permitted\.$"):
        getattr(ends.channel, message)()


def test_a_killed_child_is_an_error(ends: Ends) -> None:
    os.close(ends.reports)
    with pytest.raises(ContainerError, match="was killed while it was set up"):
        ends.channel.await_gate()

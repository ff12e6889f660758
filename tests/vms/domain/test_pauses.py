"""Reasons of a pause, from libvirt's state of the machine."""

from __future__ import annotations

import libvirt
import pytest

from vms.domain import pauses


class Handle:
    """A machine whose state and disk errors are given."""

    def __init__(self, state: int, cause: int, errors: dict[str, int] | None = None) -> None:
        self._state = state, cause
        self._errors = errors or {}

    def state(self) -> tuple[int, int]:
        return self._state

    def diskErrors(self) -> dict[str, int]:  # noqa: N802
        return self._errors


PAUSED = libvirt.VIR_DOMAIN_PAUSED


@pytest.mark.parametrize(
    ("handle", "reason"),
    [
        (Handle(libvirt.VIR_DOMAIN_RUNNING, 1), ""),
        (Handle(PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER), ""),
        (Handle(PAUSED, libvirt.VIR_DOMAIN_PAUSED_WATCHDOG), "watchdog"),
        (Handle(PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR), "I/O error"),
        (Handle(PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR, {"vdb": 2}), "no space left for vdb"),
        (
            Handle(PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR, {"vda": 1, "vdb": 2}),
            "I/O error on vda, no space left for vdb",
        ),
    ],
)
def test_the_reason_is_given_unless_a_user_paused_it(handle: Handle, reason: str) -> None:
    assert pauses.reason(handle) == reason

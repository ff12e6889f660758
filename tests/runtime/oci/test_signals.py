"""Signals by names of kill(1) and by numbers."""

from __future__ import annotations

import signal

import pytest

from runtime.errors import ContainerError
from runtime.oci.commands.kill import signal_number

NAMED = {
    "TERM": 15, "SIGTERM": 15, "sigterm": 15, "kill": 9, "Usr1": 10, "9": 9, "64": 64,
    "IOT": 6, "CLD": 17, "POLL": 29, "SIGPOLL": 29, "STKFLT": 16, "PWR": 30,
    "RTMIN": 34, "SIGRTMIN+1": 35, "rtmin+30": 64, "RTMAX": 64, "RTMAX-2": 62, "sigrtmax-30": 34,
}  # fmt: skip


@pytest.mark.parametrize(("name", "number"), NAMED.items())
def test_a_signal_by_its_name(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize("number", sorted(signal.valid_signals()))
def test_every_signal_of_python(number: int) -> None:
    assert signal_number(str(int(number))) == number
    if isinstance(number, signal.Signals):
        assert signal_number(number.name) == signal_number(number.name[3:].lower()) == number


@pytest.mark.parametrize(
    "name",
    ["", "SIG", "0", "65", "-9", "+9", "9.0", "٣", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMAX-31",
     "RTMIN+", "RTMIN+x", "_DFL", "DFL", "BLOCK", "SIGSIGTERM", "TERM ", "NOSUCH"],
)  # fmt: skip
def test_what_is_no_signal(name: str) -> None:
    with pytest.raises(ContainerError, match="There is no signal"):
        signal_number(name)

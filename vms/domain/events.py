"""What happens to machines, as it happens: libvirt's events as an iterator."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import libvirt

from vms.errors import MachineError
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Kind = Literal[
    "lifecycle",
    "reboot",
    "watchdog",
    "io-error",
    "block-job",
    "agent",
    "balloon",
    "device",
    "job",
    "control-error",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_KEPT = 10_000  # of events that nobody has taken yet; then the oldest go
_ALIVE_SECONDS = 1.0  # between two looks whether libvirt is still there
_LIFE = (
    "DEFINED", "UNDEFINED", "STARTED", "SUSPENDED", "RESUMED", "STOPPED", "SHUTDOWN", "PMSUSPENDED",
    "CRASHED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, and why or to what."""

    machine: str
    kind: Kind
    name: str
    detail: str


@functools.cache
def _constant(prefix: str, value: int) -> str:
    """The name that libvirt gives to a value, without its prefix."""
    for name in dir(libvirt):
        if name.startswith(prefix) and getattr(libvirt, name) == value:
            return name.removeprefix(prefix).lower().replace("_", "-")
    return str(value)


def _life(event: int, detail: int) -> tuple[str, str]:
    name = _LIFE[event] if event < len(_LIFE) else str(event)
    return name.lower(), _constant(f"VIR_DOMAIN_EVENT_{name}_", detail)


def _block_job(disk: str, kind: int, status: int) -> tuple[str, str]:
    job = _constant("VIR_DOMAIN_BLOCK_JOB_TYPE_", kind)
    return _constant("VIR_DOMAIN_BLOCK_JOB_", status), f"{job} of {disk}"


def _agent(state: int, reason: int) -> tuple[str, str]:
    return (
        _constant("VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_", state),
        _constant("VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_", reason),
    )


def _io_error(path: str, alias: str, action: int, reason: str) -> tuple[str, str]:
    what = _constant("VIR_DOMAIN_EVENT_IO_ERROR_", action)
    return what, f"{reason or 'error'} on {path or alias}"


def _device(name: str) -> Callable[[str], tuple[str, str]]:
    return lambda alias: (name, alias)


# libvirt's event, what we call its kind, and how its arguments become a name and a detail.
_HEARD: dict[Kind, tuple[tuple[int, Callable[..., tuple[str, str]]], ...]] = {
    "lifecycle": ((libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _life),),
    "reboot": ((libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, lambda: ("rebooted", "")),),
    "watchdog": (
        (
            libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG,
            lambda action: ("fired", _constant("VIR_DOMAIN_EVENT_WATCHDOG_", action)),
        ),
    ),
    "io-error": ((libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, _io_error),),
    "block-job": ((libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, _block_job),),
    "agent": ((libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, _agent),),
    "balloon": (
        (libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, lambda kib: ("changed", f"{kib} KiB")),
    ),
    "device": (
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, _device("added")),
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, _device("removed")),
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, _device("kept")),
    ),
    "job": ((libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, lambda _: ("completed", "")),),
    "control-error": ((libvirt.VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, lambda: ("monitor lost", "")),),
}


class Events:
    """An iterator over what happens from now on; a context manager that stops listening."""

    def __init__(self, handle: Any, kinds: Sequence[Kind] = KINDS, machine: Any = None) -> None:
        self._handle = handle
        self._heard: deque[Event] = deque(maxlen=_KEPT)
        self._some = threading.Condition()
        self._callbacks: list[int] = []
        with translate_errors("libvirt tells no events"):
            for kind in kinds:
                for number, describe in _HEARD[kind]:
                    told = functools.partial(self._told, kind, describe)
                    self._callbacks.append(
                        handle.domainEventRegisterAny(machine, number, told, None)
                    )

    def within(self, seconds: float) -> Event | None:
        """The next event, or None if there is none in that time.

        Raises MachineError if libvirt goes away.
        """
        deadline = time.monotonic() + seconds
        with self._some:
            while not self._heard:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                if not self._some.wait(min(left, _ALIVE_SECONDS)):
                    self._check_alive()
            return self._heard.popleft()

    def _check_alive(self) -> None:
        with suppress(libvirt.libvirtError):
            if self._handle.isAlive():
                return
        raise MachineError("libvirt went away: start it again, and connect anew.")

    def _told(
        self,
        kind: Kind,
        describe: Callable[..., tuple[str, str]],
        _connection: object,
        machine: Any,
        *rest: Any,
    ) -> None:
        """Called in libvirt's thread; the last of `rest` is what was registered with it."""
        name, detail = describe(*rest[:-1])
        with self._some:
            self._heard.append(Event(machine.name(), kind, name, detail))
            self._some.notify_all()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while (event := self.within(_ALIVE_SECONDS * 3600)) is None:
            pass
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for callback in self._callbacks:
            with suppress(libvirt.libvirtError):
                self._handle.domainEventDeregisterAny(callback)
        self._callbacks.clear()

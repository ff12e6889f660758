"""Events of machines, as an iterator over libvirt's callbacks."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import libvirt

from vms.errors import Unavailable
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
_QUEUE_LENGTH = 10_000  # beyond that the oldest events are dropped
_ALIVE_SECONDS = 1.0  # between two checks that libvirt still runs
_LIFE = (
    "DEFINED", "UNDEFINED", "STARTED", "SUSPENDED", "RESUMED", "STOPPED", "SHUTDOWN", "PMSUSPENDED",
    "CRASHED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a machine: its kind, its name, and the reason or the device."""

    machine: str
    kind: Kind
    name: str
    detail: str


@functools.cache
def _constant(prefix: str, value: int) -> str:
    """Return libvirt's name of a constant, without the prefix."""
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
    name = _constant("VIR_DOMAIN_EVENT_IO_ERROR_", action)
    return name, f"{reason or 'error'} on {path or alias}"


def _device(name: str) -> Callable[[str], tuple[str, str]]:
    return lambda alias: (name, alias)


# For each kind: libvirt's events, and functions that turn their arguments into name and detail.
_SOURCES: dict[Kind, tuple[tuple[int, Callable[..., tuple[str, str]]], ...]] = {
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
    """An iterator over the events from now on; a context manager that ends the subscription.

    `machine` is the handle of the only machine of interest; None subscribes to all. An embedded
    libvirt reports events while this process has it open.
    """

    def __init__(self, handle: Any, kinds: Sequence[Kind] = KINDS, machine: Any = None) -> None:
        self._handle = handle
        self._queue: deque[Event] = deque(maxlen=_QUEUE_LENGTH)
        self._changed = threading.Condition()
        self._callbacks: list[int] = []
        with translate_errors("Can't subscribe to events"):
            for kind in kinds:
                for number, describe in _SOURCES[kind]:
                    callback = functools.partial(self._enqueue, kind, describe)
                    self._callbacks.append(
                        handle.domainEventRegisterAny(machine, number, callback, None)
                    )

    def within(self, seconds: float) -> Event | None:
        """Return the next event, or None if there is none in that time.

        Raise Unavailable if the connection to libvirt is lost.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._queue:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                if not self._changed.wait(min(left, _ALIVE_SECONDS)):
                    self._check_alive()
            return self._queue.popleft()

    def _check_alive(self) -> None:
        with suppress(libvirt.libvirtError):
            if self._handle.isAlive():
                return
        raise Unavailable(
            "The connection to libvirt was lost: start its daemon again, and repeat the command."
        )

    def _enqueue(
        self,
        kind: Kind,
        describe: Callable[..., tuple[str, str]],
        _connection: object,
        machine: Any,
        *rest: Any,
    ) -> None:
        """Queue an event, in libvirt's thread; the last of `rest` is unused user data."""
        name, detail = describe(*rest[:-1])
        with self._changed:
            self._queue.append(Event(machine.name(), kind, name, detail))
            self._changed.notify_all()

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

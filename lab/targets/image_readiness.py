"""When the application of an image is ready, and how long it takes to answer.

The payload, which has started the application, looks at it from inside, in every target alike: it
connects to the port on a loopback address, runs the health check as the image's user, or waits for
the command to end. The time is that at which its answer arrives here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.errors import StartFailed, TargetFailed

if TYPE_CHECKING:
    from lab.targets.base import CommandResult, Instance
    from lab.userland.application import Application

_ENDED = 2  # the exit code of an answer if the command has ended
# One request waits so long at the most; between two of them the command's end is noticed.
_REQUEST_MILLISECONDS = 250
_ANSWER_SECONDS = 30.0
_SHOWN_BYTES = 200


def await_ready(instance: Instance, application: Application, started_ns: int) -> int:
    """Return when the application was ready; `started_ns` is when its program was executed.

    Raise StartFailed if it ends before, or is not ready in time.
    """
    readiness = application.readiness
    if readiness.by == "first instruction":
        return started_ns
    if readiness.by == "exit":
        return _await_exit(instance, application)
    seconds = application.ready_seconds
    if readiness.by == "health check":
        seconds = min(seconds, readiness.unhealthy_seconds)
    deadline_ns = instance.t0_ns + int(seconds * 1e9)
    last = ""
    while (left_ms := (deadline_ns - time.monotonic_ns()) // 1_000_000) > 0:
        result = _probe(instance, application, min(_REQUEST_MILLISECONDS, left_ms))
        if not result.exit_code:
            return time.monotonic_ns()
        _refuse_ended(instance, readiness.description())
        last = (result.stdout or result.stderr)[-_SHOWN_BYTES:].decode(errors="replace").strip()
        if readiness.by == "health check":
            time.sleep(readiness.pause_seconds)
    said = f" The last check printed: {last}." if readiness.by == "health check" and last else ""
    raise StartFailed(
        f"{instance.name} was not ready within {seconds:g} s ({readiness.description()}).{said}"
    )


def ask(instance: Instance, application: Application) -> int:
    """Ask the application once as its readiness is defined, and return the time of the answer.

    An application without port and health check is asked whether it runs. Raise TargetFailed.
    """
    if _probe(instance, application, 0).exit_code:
        raise TargetFailed(
            f"{instance.name} did not answer ({application.readiness.description()})."
        )
    return time.monotonic_ns()


def ends_within(instance: Instance, seconds: float) -> int | None:
    """Return the exit code of the command if it ends in time, else None. Raise TargetFailed."""
    return _exit_code(_wait(instance, int(seconds * 1000)))


def _probe(instance: Instance, application: Application, milliseconds: int) -> CommandResult:
    readiness = application.readiness
    if readiness.by == "health check":
        seconds = readiness.check_seconds + _ANSWER_SECONDS
        return instance.request(application.check_words(), "the health check", seconds)
    if readiness.by == "port":
        words = ["@connect", str(readiness.port), str(milliseconds)]
        return instance.request(words, "a connection", milliseconds / 1000 + _ANSWER_SECONDS)
    return _wait(instance, milliseconds)


def _wait(instance: Instance, milliseconds: int) -> CommandResult:
    """Wait until the command ends or the time is over."""
    words = ["@wait", str(milliseconds)]
    return instance.request(words, "the command", milliseconds / 1000 + _ANSWER_SECONDS)


def _await_exit(instance: Instance, application: Application) -> int:
    deadline_ns = instance.t0_ns + int(application.ready_seconds * 1e9)
    left_ms = max(0, deadline_ns - time.monotonic_ns()) // 1_000_000
    code = _exit_code(_wait(instance, left_ms))
    ended_ns = time.monotonic_ns()
    if code is None:
        raise StartFailed(
            f"The image's command in {instance.name} did not end within"
            f" {application.ready_seconds:g} s."
        )
    if code:
        raise StartFailed(f"The image's command in {instance.name} ended with exit code {code}.")
    return ended_ns


def _refuse_ended(instance: Instance, awaited: str) -> None:
    code = _exit_code(_wait(instance, 0))
    if code is not None:
        raise StartFailed(
            f"The image's command in {instance.name} ended with exit code {code} before {awaited}."
        )


def _exit_code(result: CommandResult) -> int | None:
    """Return the command's exit code from an answer; None if the command runs."""
    return int(result.stdout) if result.exit_code == _ENDED else None

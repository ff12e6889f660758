"""The application in an image: its command, user, environment, and how it shows that it is ready.

An image is ready by its own health check; without one, when the first TCP port that it exposes
answers; without a port, when its command's program has been executed, or, for a command that ends
by itself, when it has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lab.errors import InvalidConfig
from runtime.images import lookup
from runtime.images.store import host_platform
from vms.guest.payload_protocol import WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runtime.images.manifest import Execution, Healthcheck
    from runtime.images.store import Image

ReadyBy = Literal["health check", "port", "first instruction", "exit"]

DEFAULT_READY_SECONDS = 60.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = ("/bin/sh", "-c")
# docker's defaults for a health check.
_INTERVAL_SECONDS = _TIMEOUT_SECONDS = 30.0
_RETRIES = 3
# The pause between two health checks: docker's 30 s would hide the time that is measured.
_LONGEST_PAUSE_SECONDS = 0.05
_LAST_PORT = 65535
_EXECUTABLE = 0o111


@dataclass(frozen=True, slots=True)
class Readiness:
    """The event that shows that the application is ready.

    A health check fails after `check_seconds`; if none succeeded after `unhealthy_seconds`, docker
    would call the container unhealthy.
    """

    by: ReadyBy
    port: int = 0
    check: tuple[str, ...] = ()
    check_seconds: float = _TIMEOUT_SECONDS
    pause_seconds: float = _LONGEST_PAUSE_SECONDS
    unhealthy_seconds: float = 0.0

    def description(self) -> str:
        """Return what `ready` means, as text."""
        return {
            "health check": f"its health check succeeds ({' '.join(self.check)})",
            "port": f"TCP port {self.port} answers",
            "first instruction": "the program of its command is executed",
            "exit": "its command ends",
        }[self.by]


@dataclass(frozen=True, slots=True)
class Application:
    """The command of an image and its surroundings, for the payload, which starts it.

    `settings` are words of the payload's requests: variables, working directory, user.
    """

    reference: str
    digest: str
    settings: tuple[str, ...]
    command: tuple[str, ...]
    readiness: Readiness
    ready_seconds: float = DEFAULT_READY_SECONDS

    def start_words(self) -> list[str]:
        """Return the words by which the payload starts the command."""
        return [WITHIN, "leave", *self.settings, "--", *self.command]

    def check_words(self) -> list[str]:
        """Return the request that runs the health check, as the image's user."""
        timeout = f"timeout={round(self.readiness.check_seconds * 1000)}"
        return [WITHIN, "end", timeout, *self.settings, "--", *self.readiness.check]

    def that_ends(self) -> Application:
        """Return the application of a command that ends by itself."""
        return replace(self, readiness=Readiness("exit"))

    def document(self) -> dict[str, object]:
        """Return the application as it is stored in run.json."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "command": list(self.command),
            "ready": self.readiness.description(),
            "ready_by": self.readiness.by,
            "ready_timeout_seconds": self.ready_seconds,
        }


def of_image(
    image: Image,
    layers: Sequence[Path],
    reference: str,
    ready_seconds: float = DEFAULT_READY_SECONDS,
) -> Application:
    """Return the application of an unpacked image; `layers` are its directories, topmost first.

    Raise InvalidConfig if the image can't be run here: for another platform, without a command, or
    with a user or a program that it does not contain.
    """
    platform, here = image.config.platform, host_platform()
    if (platform.os, platform.architecture) != (here.os, here.architecture):
        raise InvalidConfig(f"{reference} is for {platform}, and this host is {here}.")
    execution = image.config.config
    command = _command(execution)
    if execution is None or not command:
        raise InvalidConfig(f"{reference} has no command: it sets neither ENTRYPOINT nor CMD.")
    directory = execution.working_dir or "/"
    if not directory.startswith("/"):
        raise InvalidConfig(f"{reference}: its WORKDIR {directory!r} is not an absolute path.")
    if (found := lookup.find(layers, directory)) and not found.is_dir():
        raise InvalidConfig(f"{reference}: its WORKDIR {directory} is not a directory.")
    user = lookup.user(layers, execution.user or "0")
    variables = _variables(execution.env or (), user.home)
    _require_program(layers, command[0], variables["PATH"], directory, reference)
    groups = ",".join(map(str, user.groups))
    application = Application(
        reference,
        image.descriptor.digest,
        (
            *(f"={name}={value}" for name, value in variables.items()),
            "umask=22",
            f"workdir={directory}",
            f"user={user.uid}:{user.gid}:{groups}",
        ),
        command,
        _readiness(execution, reference),
        ready_seconds,
    )
    if any("\0" in word for word in (*application.start_words(), *application.readiness.check)):
        raise InvalidConfig(f"{reference}: its configuration has a word with a NUL character.")
    return application


def _command(execution: Execution | None) -> tuple[str, ...]:
    if execution is None:
        return ()
    return (*(execution.entrypoint or ()), *(execution.cmd or ()))


def _variables(declared: Sequence[str], home: str) -> dict[str, str]:
    """Return the image's variables, with PATH and HOME as docker adds them."""
    variables = {"PATH": _PATH, "HOME": home or "/"}
    for line in declared:
        name, equals, value = line.partition("=")
        if name and equals:
            variables[name] = value
    return variables


def _require_program(
    layers: Sequence[Path], name: str, path: str, directory: str, reference: str
) -> None:
    """Raise InvalidConfig if the image has no executable file of that name. (execvp(3))"""
    places = [""] if "/" in name else [f"{place or '.'}/" for place in path.split(":")]
    for place in places:
        wanted = f"{place}{name}"
        if not wanted.startswith("/"):
            wanted = f"{directory}/{wanted}"
        found = lookup.find(layers, wanted)
        if found and found.is_file() and found.stat().st_mode & _EXECUTABLE:
            return
    where = "" if "/" in name else f" in its PATH ({path})"
    raise InvalidConfig(f"{reference} has no executable file {name!r}{where}: correct its command.")


def _readiness(execution: Execution, reference: str) -> Readiness:
    check = _check(execution)
    if check:
        assert execution.healthcheck
        return _by_check(execution.healthcheck, check)
    for exposed in execution.exposed_ports or ():
        number, _, protocol = exposed.partition("/")
        if protocol not in ("", "tcp"):
            continue
        first = number.partition("-")[0]
        if not first.isascii() or not first.isdecimal() or not 0 < int(first) <= _LAST_PORT:
            raise InvalidConfig(f"{reference}: {exposed!r} in EXPOSE is not a port.")
        return Readiness("port", port=int(first))
    return Readiness("first instruction")


def _check(execution: Execution) -> tuple[str, ...]:
    """Return the command of the health check; empty without one."""
    test = execution.healthcheck.test if execution.healthcheck else None
    kind, *words = test or ["NONE"]
    if kind == "CMD-SHELL" and words:
        return (*(execution.shell or _SHELL), words[0])
    return tuple(words) if kind == "CMD" else ()


def _by_check(declared: Healthcheck, check: tuple[str, ...]) -> Readiness:
    interval_seconds = _seconds(declared.interval) or _INTERVAL_SECONDS
    check_seconds = _seconds(declared.timeout) or _TIMEOUT_SECONDS
    retries = max(0, declared.retries) or _RETRIES
    return Readiness(
        "health check",
        check=check,
        check_seconds=check_seconds,
        pause_seconds=min(interval_seconds, _LONGEST_PAUSE_SECONDS),
        unhealthy_seconds=_seconds(declared.start_period)
        + retries * (interval_seconds + check_seconds),
    )


def _seconds(nanoseconds: int) -> float:
    return max(0, nanoseconds) / 1e9

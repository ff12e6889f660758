"""The configuration of an image during its build, and the instructions that only change it.

(docker, "Dockerfile reference"; OCI image-spec, config.md)
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.build.dockerfile import Instruction
from runtime.build.expansion import expand, split
from runtime.errors import InvalidConfig
from runtime.images.manifest import Config, Execution, Healthcheck
from runtime.spec.defaults import DEFAULT_ENVIRONMENT

DEFAULT_SHELL = ("/bin/sh", "-c")
_SIGNAL = re.compile(r"([A-Z0-9]+)(?:[+-]\d+)?")
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_LARGEST_PORT = 65535
_LEAST_NANOSECONDS = 1_000_000


@dataclass(slots=True)
class Settings:
    """The defaults for containers of the image, which instructions change."""

    escape: str
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    user: str = ""
    directory: str = "/"
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    command_is_own: bool = False
    shell: list[str] | None = None
    ports: dict[str, dict[str, str]] = field(default_factory=dict)
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    stop_signal: str = ""
    health: Healthcheck | None = None
    triggers: list[str] = field(default_factory=list)
    author: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """The variables for expansion. The environment overrides arguments."""
        return {**self.arguments, **self.environment}

    def expanded(self, text: str) -> str:
        """Return the text with its variables replaced. Raise InvalidConfig."""
        return expand(text, self.variables, self.escape)

    def expanded_document(self, text: str) -> str:
        """Return a here-document with its variables replaced. Raise InvalidConfig."""
        return expand(text, self.variables, quotes=False)

    def path(self, text: str) -> str:
        """Return the absolute path of a path relative to the working directory."""
        return posixpath.normpath(posixpath.join(self.directory, text))

    def execution(self) -> Execution:
        """Return the settings as a part of the image's configuration."""
        return Execution(
            user=self.user,
            exposed_ports=self.ports or None,
            env=[f"{name}={value}" for name, value in self.environment.items()],
            entrypoint=self.entrypoint,
            cmd=self.command,
            volumes=self.volumes or None,
            working_dir=self.directory,
            labels=self.labels or None,
            stop_signal=self.stop_signal,
            healthcheck=self.health,
            shell=self.shell,
            on_build=self.triggers or None,
        )


def of_image(config: Config | None, escape: str) -> Settings:
    """Return the settings of a base image, or of `scratch` if there is none."""
    settings = Settings(escape)
    found = (config.config if config else None) or Execution()
    for each in found.env or ([] if config else DEFAULT_ENVIRONMENT):
        name, _, value = each.partition("=")
        settings.environment[name] = value
    settings.labels = dict(found.labels or {})
    settings.user = found.user
    settings.directory = found.working_dir or "/"
    settings.entrypoint, settings.command = found.entrypoint, found.cmd
    settings.shell = found.shell
    settings.ports, settings.volumes = dict(found.exposed_ports or {}), dict(found.volumes or {})
    settings.stop_signal, settings.health = found.stop_signal, found.healthcheck
    settings.author = config.author if config else ""
    return settings


def apply(settings: Settings, instruction: Instruction) -> bool:
    """Apply an instruction if it only changes the configuration. Return False otherwise.

    Raise InvalidConfig.
    """
    change = _CHANGES.get(instruction.keyword)
    if change is None:
        return False
    change(settings, instruction)
    return True


def _env(settings: Settings, instruction: Instruction) -> None:
    """Set variables. All values are expanded with the environment before the instruction."""
    words = instruction.words
    values = {
        settings.expanded(name): settings.expanded(value)
        for name, value in zip(words[::3], words[1::3], strict=True)
    }
    if "" in values:
        raise InvalidConfig("ENV: a variable has no name")
    settings.environment.update(values)


def _label(settings: Settings, instruction: Instruction) -> None:
    words = instruction.words
    for name, value in zip(words[::3], words[1::3], strict=True):
        settings.labels[settings.expanded(name)] = settings.expanded(value)


def _workdir(settings: Settings, instruction: Instruction) -> None:
    settings.directory = settings.path(settings.expanded(_only(instruction)))


def _user(settings: Settings, instruction: Instruction) -> None:
    settings.user = settings.expanded(_only(instruction))


def _cmd(settings: Settings, instruction: Instruction) -> None:
    settings.command = _program(settings, instruction)
    settings.command_is_own = True


def _entrypoint(settings: Settings, instruction: Instruction) -> None:
    """Set the entry point. Remove a CMD of the base image, which belongs to its entry point."""
    settings.entrypoint = _program(settings, instruction)
    if not settings.command_is_own:
        settings.command = None


def _shell(settings: Settings, instruction: Instruction) -> None:
    if not instruction.json or not instruction.words:
        raise InvalidConfig('SHELL takes a JSON array, such as ["/bin/bash", "-c"]')
    settings.shell = list(instruction.words)


def _expose(settings: Settings, instruction: Instruction) -> None:
    for word in instruction.words:
        for port in split(word, settings.variables, settings.escape):
            settings.ports.update({key: {} for key in _ports(port)})


def _volume(settings: Settings, instruction: Instruction) -> None:
    if not instruction.words:
        raise InvalidConfig("VOLUME needs a path")
    for word in instruction.words:
        settings.volumes[settings.expanded(word)] = {}


def _stop_signal(settings: Settings, instruction: Instruction) -> None:
    text = settings.expanded(_only(instruction))
    found = _SIGNAL.fullmatch(text.upper())
    is_known = found is not None and (
        found[1] in signal.Signals.__members__
        or f"SIG{found[1]}" in signal.Signals.__members__
        or (found[1].isdecimal() and 0 < int(found[1]) <= signal.SIGRTMAX)
    )
    if not is_known:
        raise InvalidConfig(f"STOPSIGNAL: {text!r} is no signal such as SIGTERM or 15")
    settings.stop_signal = text


def _maintainer(settings: Settings, instruction: Instruction) -> None:
    settings.author = _only(instruction)


def _on_build(settings: Settings, instruction: Instruction) -> None:
    triggered = instruction.triggered
    assert triggered is not None
    if triggered.keyword in ("onbuild", "from", "maintainer"):
        raise InvalidConfig(f"ONBUILD {triggered.keyword.upper()} is not allowed")
    documents = "".join(f"\n{each.content}{each.name}" for each in triggered.heredocs)
    settings.triggers.append(triggered.text + documents)


def _healthcheck(settings: Settings, instruction: Instruction) -> None:
    kind, *command = instruction.words or ("",)
    if kind.upper() == "NONE" and not command:
        settings.health = Healthcheck(test=["NONE"])
        return
    if kind.upper() != "CMD" or not command:
        raise InvalidConfig("HEALTHCHECK takes CMD and a command, or NONE")
    options = dict(flag.removeprefix("--").partition("=")[::2] for flag in instruction.flags)
    times = {
        name: _nanoseconds(options.pop(option, "0s"), option)
        for name, option in (("interval", "interval"), ("timeout", "timeout"),
                             ("start_period", "start-period"), ("start_interval", "start-interval"))
    }  # fmt: skip
    retries = options.pop("retries", "0")
    if not retries.isdecimal():
        raise InvalidConfig(f"HEALTHCHECK: --retries={retries} is no number")
    if options:
        raise InvalidConfig(f"HEALTHCHECK has no option --{next(iter(options))}")
    test = ["CMD", *command] if instruction.json else ["CMD-SHELL", *command]
    settings.health = Healthcheck(test=test, retries=int(retries), **times)


def _nanoseconds(text: str, option: str) -> int:
    parts = _DURATION.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise InvalidConfig(f"HEALTHCHECK: --{option}={text} is no duration such as 30s or 1m30s")
    nanoseconds = int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))
    if 0 < nanoseconds < _LEAST_NANOSECONDS:
        raise InvalidConfig(f"HEALTHCHECK: --{option}={text} is less than a millisecond")
    return nanoseconds


def _program(settings: Settings, instruction: Instruction) -> list[str]:
    """Return the argument vector of an exec form or a shell form."""
    if instruction.json:
        return list(instruction.words)
    text = instruction.words[0] if instruction.words else ""
    return [*(settings.shell or DEFAULT_SHELL), text] if text else []


def _ports(text: str) -> list[str]:
    found = _PORT.fullmatch(text)
    if not found:
        raise InvalidConfig(f"EXPOSE: {text!r} is not PORT[/PROTOCOL], such as 80/tcp")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 < first <= last <= _LARGEST_PORT:
        raise InvalidConfig(f"EXPOSE: {text!r} is no range of ports from 1 to {_LARGEST_PORT}")
    return [f"{port}/{(found[3] or 'tcp').lower()}" for port in range(first, last + 1)]


def _only(instruction: Instruction) -> str:
    if not instruction.words:
        raise InvalidConfig(f"{instruction.keyword.upper()} needs an argument")
    return instruction.words[0]


def shown(instruction: Instruction, settings: Settings) -> str:
    """Return an instruction in the form of the image's history."""
    keyword = instruction.keyword.upper()
    if instruction.keyword in ("cmd", "entrypoint", "shell"):
        return f"{keyword} {json.dumps(_program(settings, instruction))}"
    if instruction.keyword in ("env", "label"):
        words = [settings.expanded(word) for word in instruction.words]
        pairs = zip(words[::3], words[1::3], strict=True)
        return f"{keyword} {' '.join(f'{name}={shlex.quote(value)}' for name, value in pairs)}"
    return " ".join((keyword, *instruction.flags, *instruction.words))


_CHANGES: dict[str, Callable[[Settings, Instruction], Any]] = {
    "cmd": _cmd,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "maintainer": _maintainer,
    "onbuild": _on_build,
    "shell": _shell,
    "stopsignal": _stop_signal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}

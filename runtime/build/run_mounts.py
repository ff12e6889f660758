"""The --mount options of RUN, as they are written.

(docker, "Dockerfile reference", "RUN --mount")
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass

from runtime.build.dockerfile import Instruction
from runtime.build.settings import Settings
from runtime.errors import InvalidConfig

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_SIZE = re.compile(r"(\d+)([bkmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_OTHER_NAMES = {
    "dst": "target", "destination": "target", "src": "source", "ro": "readonly", "rw": "readwrite",
}  # fmt: skip
_FIELDS = {
    "bind": {"from", "source", "target", "readonly", "readwrite"},
    "cache": {"from", "source", "target", "id", "sharing", "mode", "uid", "gid", "readonly",
              "readwrite"},
    "tmpfs": {"target", "size"},
    "secret": {"id", "target", "source", "env", "required", "mode", "uid", "gid"},
    "ssh": {"id", "target", "required", "mode", "uid", "gid"},
}  # fmt: skip
_MODES = {"cache": 0o755, "secret": 0o400, "ssh": 0o600}
_AGENT_TARGET = "/run/buildkit/ssh_agent."


@dataclass(frozen=True, slots=True)
class RunMount:
    """A --mount option. `target` is empty for a secret that is a variable alone."""

    kind: str
    target: str
    source: str
    origin: str | None
    name: str
    variable: str
    read_only: bool
    required: bool
    sharing: str
    mode: int
    uid: int
    gid: int
    size_bytes: int | None
    text: str


def parse(instruction: Instruction, settings: Settings) -> list[RunMount]:
    """Return the --mount options of a RUN. Raise InvalidConfig."""
    found: list[RunMount] = []
    for flag in instruction.flags:
        name, _, value = flag.removeprefix("--").partition("=")
        if name == "mount":
            agents = sum(each.kind == "ssh" for each in found)
            found.append(_mount(settings.expanded(value), settings, agents))
    return found


def size_bytes(text: str) -> int:
    """Return a size such as 64m in bytes. Raise InvalidConfig."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise InvalidConfig(f"{text!r} is no size such as 64m")
    return int(found[1]) * _UNITS[found[2].lower()]


def _mount(text: str, settings: Settings, agents: int) -> RunMount:
    fields = _fields(text)
    kind = fields.pop("type", "bind")
    if kind not in _KINDS:
        raise InvalidConfig(f"--mount: the type {kind!r} is none of {', '.join(_KINDS)}")
    for name in fields:
        if name not in _FIELDS[kind]:
            raise InvalidConfig(f"--mount: type={kind} has no field {name!r}")
    target, name = _names(kind, fields, agents)
    if not target and not fields.get("env"):
        raise InvalidConfig(f"--mount={text} has no target")
    if target and settings.path(target) == "/":
        raise InvalidConfig(f"--mount={text} covers the root directory")
    sharing = fields.get("sharing", "shared")
    if sharing not in _SHARING:
        raise InvalidConfig(f"--mount: sharing={sharing} is none of {', '.join(_SHARING)}")
    read_only = _switch(fields, "readonly") or kind == "secret"
    if kind == "bind":
        read_only = not _switch(fields, "readwrite") or _switch(fields, "readonly")
    return RunMount(
        kind=kind,
        target=settings.path(target) if target else "",
        source=fields.get("source") or "/",
        origin=fields.get("from") or None,
        name=name or settings.path(target),
        variable=fields.get("env", ""),
        read_only=read_only,
        required=_switch(fields, "required"),
        sharing=sharing,
        mode=_number(fields, "mode", 8, _MODES.get(kind, 0o755)),
        uid=_number(fields, "uid", 10, 0),
        gid=_number(fields, "gid", 10, 0),
        size_bytes=size_bytes(fields["size"]) if "size" in fields else None,
        text=text,
    )


def _fields(text: str) -> dict[str, str]:
    """Return the fields by their long names; a name alone is a switch that is on."""
    fields: dict[str, str] = {}
    for part in next(csv.reader([text]), []):
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        fields[_OTHER_NAMES.get(key, key)] = value if equals else "true"
    return fields


def _names(kind: str, fields: dict[str, str], agents: int) -> tuple[str, str]:
    """Return the target and the id, each by default from the other."""
    target, name = fields.get("target", ""), fields.get("id", "")
    if kind == "secret":
        name = name or fields.get("source", "") or os.path.basename(target)
        if not name:
            raise InvalidConfig("--mount=type=secret needs an id")
        if not target and not fields.get("env"):
            target = f"/run/secrets/{os.path.basename(name)}"
    elif kind == "ssh":
        name = name or "default"
        target = target or f"{_AGENT_TARGET}{agents}"
    return target, name


def _switch(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise InvalidConfig(f"--mount: {name}={value} is neither true nor false")
    return value in ("true", "1")


def _number(fields: dict[str, str], name: str, base: int, default: int) -> int:
    if name not in fields:
        return default
    try:
        return int(fields[name], base)
    except ValueError:
        raise InvalidConfig(f"--mount: {name}={fields[name]} is no number") from None

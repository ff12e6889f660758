"""`update`: change the resource limits of a running container."""

from __future__ import annotations

import sys

from runtime.container.container import Container
from runtime.errors import InvalidConfig
from runtime.oci.arguments import VALUE, one_container, parse
from runtime.spec.config import Resources
from runtime.spec.json_structs import convert
from runtime.spec.json_structs import parse as parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

# Option: the keys of the field below linux.resources that it sets.
_FIELDS = {
    "--blkio-weight": ("blockIO", "weight"),
    "--cpu-period": ("cpu", "period"),
    "--cpu-quota": ("cpu", "quota"),
    "--cpu-burst": ("cpu", "burst"),
    "--cpu-rt-period": ("cpu", "realtimePeriod"),
    "--cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "--cpu-share": ("cpu", "shares"),
    "--cpu-shares": ("cpu", "shares"),
    "--cpuset-cpus": ("cpu", "cpus"),
    "--cpuset-mems": ("cpu", "mems"),
    "--cpu-idle": ("cpu", "idle"),
    "--memory": ("memory", "limit"),
    "--memory-reservation": ("memory", "reservation"),
    "--memory-swap": ("memory", "swap"),
    "--kernel-memory": ("memory", "kernel"),
    "--kernel-memory-tcp": ("memory", "kernelTCP"),
    "--pids-limit": ("pids", "limit"),
}
_UNITS = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Set the given limits and keep all others."""
    known = {**dict.fromkeys(_FIELDS, VALUE), "--resources": VALUE}
    options = parse(words, known, {"-r": "--resources"}, mixed=True)
    resources = _read(options) if options.value("--resources") else _given(options)
    Container.load(one_container(options), settings.root).update(resources)
    return 0


def _read(options: Options) -> Resources:
    path = options.value("--resources")
    try:
        if path == "-":
            text = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                text = file.read()
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error
    return convert(Resources, parse_json(text, path), path)


def _given(options: Options) -> Resources:
    document: dict[str, dict[str, object]] = {}
    for option, (part, field) in _FIELDS.items():
        if text := options.value(option):
            is_text = field in {"cpus", "mems"}
            value = text if is_text else _number(option, text, part == "memory")
            document.setdefault(part, {})[field] = value
    return convert(Resources, document, "update")


def _number(option: str, text: str, is_size: bool) -> int:
    unit = text[-1:].lower()
    digits = text[:-1] if is_size and unit in _UNITS else text
    try:
        return int(digits) << (_UNITS.get(unit, 0) if digits != text else 0)
    except ValueError:
        raise InvalidConfig(f"{option} must be an integer, not {text!r}.") from None

"""`update`: other limits for a container that runs."""

from __future__ import annotations

import sys

from runtime.container.container import Container
from runtime.errors import ContainerError
from runtime.oci.arguments import VALUE, parse
from runtime.spec.config import Resources
from runtime.spec.json_structs import convert
from runtime.spec.json_structs import parse as parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options
    from runtime.oci.cli import Settings

# option: the field below resources that it sets, by the document's own keys
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
    """Set what is given; the rest stays as it is."""
    known = {**dict.fromkeys(_FIELDS, VALUE), "--resources": VALUE}
    options = parse(words, known, {"-r": "--resources"}, mixed=True)
    if len(options.words) != 1:
        raise ContainerError("Name one container.")
    resources = _read(options) if options.value("--resources") else _given(options)
    Container.load(options.words[0], settings.root).update(resources)
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
        raise ContainerError(f"{path} can't be read: {error.strerror}.") from error
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
        raise ContainerError(f"{option} takes a whole number, not {text!r}.") from None

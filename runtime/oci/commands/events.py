"""`events`: print the usage and the OOM events of a container, one JSON object a line."""

from __future__ import annotations

import time

from runtime.container.container import STOPPED, Container
from runtime.errors import InvalidConfig, InvalidState
from runtime.oci.arguments import SWITCH, VALUE, one_container, parse
from runtime.spec.json_structs import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Print events until the container stops, or the usage once with --stats."""
    options = parse(words, {"--stats": SWITCH, "--interval": VALUE}, {}, mixed=True)
    interval_seconds = _seconds(options.value("--interval", "5s"))
    container = Container.load(one_container(options), settings.root)
    if container.status == STOPPED:
        raise InvalidState(f"The container {container.identifier} is stopped.")
    _print("stats", container, container.cgroup.statistics())
    if options.has("--stats"):
        return 0
    next_seconds = time.monotonic() + interval_seconds
    with container.cgroup.oom_events() as events:
        while container.status != STOPPED:
            if events.wait(max(0.0, next_seconds - time.monotonic())):
                _print("oom", container, None)
            elif container.status != STOPPED:
                _print("stats", container, container.cgroup.statistics())
                next_seconds += interval_seconds
    return 0


def _print(kind: str, container: Container, data: object) -> None:
    print(encode({"type": kind, "id": container.identifier, "data": data}), flush=True)


def _seconds(text: str) -> float:
    digits = text.rstrip("hms")
    try:
        seconds = float(digits) * _UNITS.get(text[len(digits) :] or "s", 0.0)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise InvalidConfig(f"--interval must be a duration such as 5s, not {text!r}.")
    return seconds

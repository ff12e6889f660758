"""`kill`: send a signal to a container's first process, or to all its processes."""

from __future__ import annotations

from runtime.container.container import STOPPED, Container
from runtime.errors import InvalidConfig, InvalidState
from runtime.linux.pidfd import SIGKILL
from runtime.oci.arguments import SWITCH, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings

_FIRST_REALTIME, _LAST_REALTIME = 34, 64
_ALIASES = {"IOT": "ABRT", "CLD": "CHLD", "POLL": "IO", "UNUSED": "SYS"}


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Send the signal, which is SIGTERM by default."""
    options = parse(words, {"--all": SWITCH}, {"-a": "--all"}, mixed=True)
    if not 1 <= len(options.words) <= 2:
        raise InvalidConfig("Name one container, and at most one signal.")
    name, signal = (*options.words, "TERM")[:2]
    number = signal_number(signal)
    container = Container.load(name, settings.root)
    if options.has("--all"):
        container.kill_all(number)
        return 0
    if container.status == STOPPED and not (number == SIGKILL and container.processes()):
        raise InvalidState(f"The container {name} is stopped: it can't receive a signal.")
    container.kill(number)
    return 0


def signal_number(text: str) -> int:
    """Return the number of a signal, given as a name of kill(1) or as a number.

    Raise InvalidConfig if there is no such signal. (signal(7))
    """
    if text.isascii() and text.isdecimal():
        number = int(text)
    else:
        number = _named(text.upper().removeprefix("SIG"))
    if not 1 <= number <= _LAST_REALTIME:
        raise InvalidConfig(
            f"There is no signal {text!r}: use a name from `kill -l`, or a number from 1 to"
            f" {_LAST_REALTIME}."
        )
    return number


def _named(name: str) -> int:
    import _signal

    for first, sign, base in (("RTMIN", "+", _FIRST_REALTIME), ("RTMAX", "-", _LAST_REALTIME)):
        if name == first:
            return base
        distance = name.removeprefix(f"{first}{sign}")
        if distance != name and distance.isascii() and distance.isdecimal():
            number = base + int(f"{sign}{distance}")
            return number if _FIRST_REALTIME <= number <= _LAST_REALTIME else 0
    number = getattr(_signal, f"SIG{_ALIASES.get(name, name)}", 0)
    return number if isinstance(number, int) else 0

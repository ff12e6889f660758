"""`kill`: a signal for a container's first process, or for all."""

from __future__ import annotations

from runtime.container import STOPPED, Container
from runtime.errors import ContainerError
from runtime.linux.process import SIGKILL
from runtime.options import SWITCH, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci_cli import Settings

_FIRST_REALTIME, _LAST = 34, 64


def main(_: str, words: Sequence[str], settings: Settings) -> int:
    """Send it; SIGTERM if none is named."""
    options = parse(words, {"--all": SWITCH}, {"-a": "--all"}, mixed=True)
    if not 1 <= len(options.words) <= 2:
        raise ContainerError("Name one container, and a signal if it is not TERM.")
    name, signal = (*options.words, "TERM")[:2]
    number = signal_number(signal)
    container = Container.load(name, settings.root)
    if options.has("--all"):
        container.kill_all(number)
        return 0
    if container.status == STOPPED and not (number == SIGKILL and container.processes()):
        raise ContainerError(f"The container {name} is stopped: it gets no signal.")
    container.kill(number)
    return 0


def signal_number(text: str) -> int:
    """The number of a signal that is named or numbered. Raises ContainerError. (signal(7))"""
    import _signal

    name = text.upper().removeprefix("SIG")
    number = int(text) if text.isdecimal() else getattr(_signal, f"SIG{name}", 0)
    if name.startswith("RTMIN+") and name[6:].isdecimal():
        number = _FIRST_REALTIME + int(name[6:])
    if not (isinstance(number, int) and 1 <= number <= _LAST):
        raise ContainerError(f"There is no signal {text!r}.")
    return number

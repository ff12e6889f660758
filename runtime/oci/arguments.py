"""Command lines as the OCI runtimes in use have them; argparse would take longer to import."""

from __future__ import annotations

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What an option takes: nothing, a value, or a value each time that it is given.
SWITCH, VALUE, VALUES = "switch", "value", "values"


class Options:
    """What was given: switches, values, and the words that are no options."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._given: dict[str, list[str]] = {}

    def has(self, name: str) -> bool:
        """Whether it was given, and not as `--name=false`."""
        return self._given.get(name, ["false"])[-1] != "false"

    def value(self, name: str, default: str = "") -> str:
        """Its last value."""
        return self._given.get(name, [default])[-1]

    def values(self, name: str) -> list[str]:
        """All its values."""
        return self._given.get(name, [])

    def number(self, name: str, default: int = 0) -> int:
        """Its value as a whole number. Raises ContainerError."""
        text = self.value(name, str(default))
        try:
            return int(text)
        except ValueError:
            raise ContainerError(f"{name} takes a whole number, not {text!r}.") from None

    def add(self, name: str, value: str) -> None:
        """One more that was given."""
        self._given.setdefault(name, []).append(value)


def parse(
    words: Sequence[str], known: Mapping[str, str], short: Mapping[str, str], *, mixed: bool
) -> Options:
    """The options of a command, by their long names.

    `known` says what each takes, `short` what the short ones stand for. Unless they are `mixed`
    with other words, the first of those ends the options. Raises ContainerError.
    """
    found = Options()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            found.words += waiting
            break
        if not word.startswith("-") or word == "-":
            found.words.append(word)
            if not mixed:
                found.words += waiting
                break
            continue
        name, equals, value = word.partition("=")
        name = _long(name, known, short)
        if known[name] == SWITCH:
            found.add(name, value if equals else "true")
        elif equals:
            found.add(name, value)
        elif waiting:
            found.add(name, waiting.pop(0))
        else:
            raise ContainerError(f"{name} takes a value.")
    return found


def _long(name: str, known: Mapping[str, str], short: Mapping[str, str]) -> str:
    name = short.get(name, name)
    if name not in known and f"-{name}" in known:  # -name is as good as --name
        name = f"-{name}"
    if name not in known:
        raise ContainerError(f"There is no option {name}.")
    return name

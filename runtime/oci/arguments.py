"""A parser of command lines in the style of runc and crun; argparse is slower to import."""

from __future__ import annotations

from runtime.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The kinds of options: without a value, with the last value that is given, with all values.
SWITCH, VALUE, VALUES = "switch", "value", "values"


class Options:
    """The options and the other words of a command line."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._given: dict[str, list[str]] = {}

    def has(self, name: str) -> bool:
        """Return True if the switch was given, unless as `--name=false`."""
        return self._given.get(name, ["false"])[-1] != "false"

    def value(self, name: str, default: str = "") -> str:
        """Return the last value of an option."""
        return self._given.get(name, [default])[-1]

    def values(self, name: str) -> list[str]:
        """Return all values of an option."""
        return self._given.get(name, [])

    def number(self, name: str, default: int = 0) -> int:
        """Return an option's value as an integer. Raise InvalidConfig."""
        text = self.value(name, str(default))
        try:
            return int(text)
        except ValueError:
            raise InvalidConfig(f"{name} must be an integer, not {text!r}.") from None

    def add(self, name: str, value: str) -> None:
        """Add one value of an option."""
        self._given.setdefault(name, []).append(value)


def parse(
    words: Sequence[str], known: Mapping[str, str], short: Mapping[str, str], *, mixed: bool
) -> Options:
    """Parse the options of a command; return them by their long names.

    `known` has the kind of each option, `short` the long names of short ones. Unless options and
    other words may be `mixed`, the first other word ends the options. Raise InvalidConfig.
    """
    options = Options()
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if word == "--":
            options.words += remaining
            break
        if not word.startswith("-") or word == "-":
            options.words.append(word)
            if not mixed:
                options.words += remaining
                break
            continue
        name, equals, value = word.partition("=")
        name = _long(name, known, short)
        if known[name] == SWITCH:
            options.add(name, value if equals else "true")
        elif equals:
            options.add(name, value)
        elif remaining:
            options.add(name, remaining.pop(0))
        else:
            raise InvalidConfig(f"{name} needs a value.")
    return options


def only_container(words: Sequence[str]) -> str:
    """Return the container's id of a command without other arguments. Raise InvalidConfig."""
    return one_container(parse(words, {}, {}, mixed=True))


def one_container(options: Options) -> str:
    """Return the only word that is not an option, a container's id. Raise InvalidConfig."""
    if len(options.words) != 1:
        raise InvalidConfig("Name one container.")
    return options.words[0]


def _long(name: str, known: Mapping[str, str], short: Mapping[str, str]) -> str:
    name = short.get(name, name)
    if name not in known and f"-{name}" in known:  # as in runc, -name means --name
        name = f"-{name}"
    if name not in known:
        raise InvalidConfig(f"There is no option {name}.")
    return name

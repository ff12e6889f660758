"""Dockerfiles as lists of instructions: comments, continued lines, flags, JSON, here-documents.

Variables are not expanded here, because their values depend on earlier instructions.
(docker, "Dockerfile reference"; tests/runtime/build runs BuildKit's own cases)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.build.expansion import split
from runtime.errors import InvalidConfig

_ESCAPES = ("\\", "`")
_DIRECTIVES = ("escape", "syntax", "check")
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document; variables in it are expanded unless its name was quoted."""

    name: str
    content: str
    expanded: bool
    descriptor: int
    chomped: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its keyword in lower case and its line numbers, from 1.

    `words` are its arguments, not expanded. ENV and LABEL have three words for each variable: name,
    value, and `=`, which is empty in the old form without it. `json` is True for arguments in a
    JSON array, the exec form. `triggered` is the instruction behind ONBUILD.
    """

    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    json: bool
    first_line: int
    last_line: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()
    triggered: Instruction | None = None


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile, with its escape character and the frontend that `# syntax=` names."""

    instructions: tuple[Instruction, ...]
    escape: str
    syntax: str | None


def parse(text: str, name: str = "Dockerfile") -> Dockerfile:
    """Return the instructions of a Dockerfile. Raise InvalidConfig, with the name and the line."""
    return _Parser(text, name).dockerfile()


class _Parser:
    """Reads the lines of one Dockerfile."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._lines = text.removeprefix(_BYTE_ORDER_MARK).splitlines(keepends=True)
        self._at = 0
        self._directives: dict[str, str] = {}
        self._read_directives()
        self._escape = self._directives.get("escape", _ESCAPES[0])
        if self._escape not in _ESCAPES:
            raise self._error(f"the escape character is {self._escape!r}, not \\ or `", 1)
        sign = re.escape(self._escape)
        self._continued = re.compile(rf"(?:(?<=[^{sign}])|^){sign}[ \t]*$")

    def dockerfile(self) -> Dockerfile:
        instructions = tuple(self._instructions())
        if not instructions:
            raise InvalidConfig(f"{self._name} has no instructions.")
        return Dockerfile(instructions, self._escape, self._directives.get("syntax"))

    def _read_directives(self) -> None:
        """Read parser directives at the top, up to the first other line."""
        for number, line in enumerate(self._lines, start=1):
            found = _DIRECTIVE.fullmatch(line.strip())
            if not found or (key := found[1].lower()) not in _DIRECTIVES:
                return
            if key in self._directives:
                raise self._error(f"the directive {key!r} stands there twice", number)
            self._directives[key] = found[2]

    def _instructions(self) -> Iterator[Instruction]:
        while (line := self._next()) is not None:
            first = self._at
            text, ends = self._without_continuation(_uncommented(line).lstrip())
            if ends and not text:
                continue
            while not ends and (line := self._next()) is not None:
                if _is_comment(line) or not line.strip():
                    continue
                more, ends = self._without_continuation(line)
                text += more
            yield self._instruction(text, first)

    def _next(self) -> str | None:
        """Return the next line without its end, or None after the last."""
        if self._at == len(self._lines):
            return None
        line = self._lines[self._at]
        self._at += 1
        return line.rstrip("\r\n")

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        """Return a line without a continuation, and True if the instruction ends with it."""
        found = self._continued.search(line)
        return (line[: found.start()], False) if found else (line, True)

    def _instruction(self, text: str, first: int) -> Instruction:
        keyword, _, rest = _partition(text.strip())
        keyword = keyword.lower()
        flags, rest = _flags(rest)
        if keyword not in _WORDS:
            raise self._error(f"there is no instruction {keyword.upper()!r}", first)
        if keyword == "onbuild":
            if not rest:
                raise self._error("ONBUILD needs an instruction", first)
            triggered = self._instruction(rest, first)
            return Instruction(
                keyword, flags, (), False, first, self._at, text, triggered.heredocs, triggered
            )
        try:
            words, as_json = _WORDS[keyword](rest, self._escape)
        except InvalidConfig as error:
            raise self._error(f"{keyword.upper()}: {error}", first) from None
        heredocs: tuple[Heredoc, ...] = ()
        if keyword in ("add", "copy", "run") and not as_json and "<<" in text:
            heredocs = tuple(self._heredocs(rest))
        return Instruction(keyword, flags, words, as_json, first, self._at, text, heredocs)

    def _heredocs(self, rest: str) -> Iterator[Heredoc]:
        """Yield the here-documents of a line, in order."""
        for word in _words(rest, self._escape):
            found = _HEREDOC.fullmatch(word)
            names = split(found[3], {}, self._escape) if found and found[3] else []
            if found and len(names) == 1:
                yield self._heredoc(found, names[0])

    def _heredoc(self, found: re.Match[str], name: str) -> Heredoc:
        first, chomped = self._at, bool(found[2])
        content: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if chomped else end) == name:
                text = "".join(each.lstrip("\t") if chomped else each for each in content)
                return Heredoc(name, text, found[3] == name, int(found[1] or 0), chomped)
            content.append(line)
        raise self._error(f"the here-document {name!r} is not ended", first)

    def _error(self, why: str, line: int) -> InvalidConfig:
        return InvalidConfig(f"{self._name}:{line}: {why}.")


def _partition(text: str) -> tuple[str, str, str]:
    """Split a text at its first blanks."""
    first, *rest = _BLANKS.split(text, maxsplit=1)
    return first, " ", rest[0].strip() if rest else ""


def _flags(rest: str) -> tuple[tuple[str, ...], str]:
    """Split off the flags, words that begin with `--`; `--` alone ends them."""
    flags = []
    while rest.startswith("--"):
        word, end = _flag(rest)
        rest = rest[end:].lstrip()
        if word == "--":
            break
        flags.append(word)
    return tuple(flags), rest.strip()


def _flag(rest: str) -> tuple[str, int]:
    """Return the first word with its quotes removed, and where it ends."""
    word, quote, at = "", "", 0
    while at < len(rest) and (quote or not rest[at].isspace()):
        sign = rest[at]
        at += 1
        if sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
        elif sign == "\\":
            word += rest[at : at + 1]
            at += 1
        else:
            word += sign
    return word, at


def _words(rest: str, escape: str) -> list[str]:
    """Split a text at unquoted blanks. Words keep their quotes and escapes."""
    words, word, quote, at = [], "", "", 0
    while at < len(rest):
        sign = rest[at]
        at += 1
        if not quote and sign.isspace():
            if word:
                words.append(word)
            word = ""
            continue
        if sign == escape and quote != "'":
            if at == len(rest):
                break
            word += sign + rest[at]
            at += 1
            continue
        if sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
        word += sign
    return [*words, word] if word else words


def _array(rest: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, or None for other text. Raise InvalidConfig."""
    if not rest.startswith("["):
        return None
    try:
        values = json.loads(rest, strict=False)
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in values):
        raise InvalidConfig("an array may hold strings only")
    return tuple(values)


def _command(rest: str, _: str) -> tuple[tuple[str, ...], bool]:
    """Read an array, or the whole text as one word."""
    array = _array(rest)
    return (array, True) if array is not None else ((rest,) if rest else (), False)


def _paths(rest: str, _: str) -> tuple[tuple[str, ...], bool]:
    """Read an array, or the words of the text."""
    array = _array(rest)
    return (array, True) if array is not None else (_blank_separated(rest), False)


def _plain_words(rest: str, _: str) -> tuple[tuple[str, ...], bool]:
    return _blank_separated(rest), False


def _text(rest: str, _: str) -> tuple[tuple[str, ...], bool]:
    return (rest,) if rest else (), False


def _arguments(rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    return tuple(_words(rest, escape)), False


def _pairs(rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """Read `NAME=VALUE …`, or the old `NAME VALUE`, whose value is all of the rest."""
    words = _words(rest, escape)
    if not words:
        raise InvalidConfig("it needs a name and a value")
    if "=" not in words[0]:
        name, _, value = _partition(rest)
        if not value:
            raise InvalidConfig(f"{name} has no value")
        return (name, value, ""), False
    parts: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidConfig(f"{word!r} is not NAME=VALUE")
        parts += (name, value, "=")
    return tuple(parts), False


def _health(rest: str, _: str) -> tuple[tuple[str, ...], bool]:
    """Read `CMD` and a command, or `NONE`."""
    kind, _, command = _partition(rest)
    if not kind:
        return (), False
    words, as_json = _command(command, "")
    return (kind, *words), as_json


def _blank_separated(rest: str) -> tuple[str, ...]:
    return tuple(_BLANKS.split(rest)) if rest else ()


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _uncommented(line: str) -> str:
    return "" if _is_comment(line) else line


_WORDS: dict[str, Callable[[str, str], tuple[tuple[str, ...], bool]]] = {
    "add": _paths,
    "arg": _arguments,
    "cmd": _command,
    "copy": _paths,
    "entrypoint": _command,
    "env": _pairs,
    "expose": _plain_words,
    "from": _plain_words,
    "healthcheck": _health,
    "label": _pairs,
    "maintainer": _text,
    "onbuild": _text,
    "run": _command,
    "shell": _command,
    "stopsignal": _text,
    "user": _text,
    "volume": _paths,
    "workdir": _text,
}

"""Quotes and variables in the words of a Dockerfile, with the syntax of the shell.

`$x`, `${x}`, `${x:-y}`, `${x-y}`, `${x:+y}`, `${x+y}`, `${x:?y}`, `${x?y}`, `${x#y}`, `${x##y}`,
`${x%y}`, `${x%%y}`, `${x/y/z}`, `${x//y/z}`. Positional and special parameters are never set.
(POSIX, "Shell Command Language", 2.6.2; docker, "Dockerfile reference", "Environment replacement")
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.errors import InvalidConfig

_BLANKS = " \t"
_SPECIAL = "@*#?-$!"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGITS = re.compile(r"[0-9]+")


def expand(
    text: str, variables: Mapping[str, str], escape: str = "\\", *, quotes: bool = True
) -> str:
    """Return the text with variables replaced and quotes removed. Raise InvalidConfig.

    Without `quotes` they are characters like others, as in a here-document.
    """
    return _Lexer(text, variables, escape, quotes=quotes).whole()


def split(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words of the text, expanded.

    Unquoted blanks separate words, also blanks in the value of a variable. Raises
    InvalidConfig.
    """
    return _Lexer(text, variables, escape).words()


class _Lexer:
    """Reads a text once from start to end."""

    def __init__(
        self, text: str, variables: Mapping[str, str], escape: str, *, quotes: bool = True
    ) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._escape = escape
        self._quotes = quotes
        self._words: list[str] = []
        self._word: str | None = None

    def whole(self) -> str:
        parts = []
        while self._at < len(self._text):
            parts.append(self._next(splitting=False))
        return "".join(parts)

    def words(self) -> list[str]:
        while self._at < len(self._text):
            if self._text[self._at] in _BLANKS:
                self._at += 1
                self._end_word()
                continue
            quoted = self._text[self._at] in "'\""
            part = self._next(splitting=True)
            if part or quoted:
                self._word = (self._word or "") + part
        self._end_word()
        return self._words

    def _next(self, *, splitting: bool) -> str:
        """Return the expansion of the next character or variable or quoted text."""
        sign = self._text[self._at]
        if sign == "'" and self._quotes:
            return self._single_quoted()
        if sign == '"' and self._quotes:
            return self._double_quoted()
        if sign == "$":
            value = self._variable()
            return self._split_value(value) if splitting else value
        self._at += 1
        if sign == self._escape:
            escaped = self._text[self._at : self._at + 1]
            self._at += 1
            return escaped
        return sign

    def _split_value(self, value: str) -> str:
        """Split words at the blanks in a value. Return the beginning of the next word."""
        first, *rest = re.split(r"[ \t]+", value) if value else [""]
        for part in rest:
            if first:
                self._word = (self._word or "") + first
            self._end_word()
            first = part
        return first

    def _end_word(self) -> None:
        if self._word is not None:
            self._words.append(self._word)
        self._word = None

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._error("a single quote is not closed")
        quoted = self._text[self._at + 1 : end]
        self._at = end + 1
        return quoted

    def _double_quoted(self) -> str:
        self._at += 1
        parts: list[str] = []
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign == '"':
                self._at += 1
                return "".join(parts)
            if sign == "$":
                parts.append(self._variable())
                continue
            self._at += 1
            if sign == self._escape:
                escaped = self._text[self._at : self._at + 1]
                self._at += 1
                if escaped not in ('"', "$", self._escape):
                    parts.append(sign)
                parts.append(escaped)
                continue
            parts.append(sign)
        raise self._error("a double quote is not closed")

    def _variable(self) -> str:
        """Return the value of a `$` and the name after it."""
        self._at += 1
        if self._text[self._at : self._at + 1] == "{":
            self._at += 1
            return self._braced()
        name = self._name()
        return self._variables.get(name, "") if name else "$"

    def _name(self) -> str:
        """Return the next name, positional or special parameter, or nothing."""
        for pattern in (_NAME, _DIGITS):
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return found[0]
        sign = self._text[self._at : self._at + 1]
        if sign and sign in _SPECIAL:
            self._at += 1
            return sign
        return ""

    def _braced(self) -> str:
        """Return the value of `${…}`. The opening brace was read already."""
        name = self._name()
        if not name:
            raise self._error("${…} has no variable's name")
        operator = self._operator()
        value = self._variables.get(name)
        if operator == "}":
            return value or ""
        if operator in ("/", "//"):
            return self._replaced(value or "", everywhere=operator == "//")
        if operator in ("#", "##", "%", "%%"):
            return _stripped(value or "", self._operand("}", pattern=True), operator)
        operand = self._operand("}")
        usable = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("-"):
            return (value or "") if usable else operand
        if operator.endswith("+"):
            return operand if usable else ""
        if not usable:
            raise self._error(f"{name}: {operand or 'it is not set'}")
        return value or ""

    def _operator(self) -> str:
        for operator in (":-", ":+", ":?", "##", "%%", "//", "}", "-", "+", "?", "#", "%", "/"):
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        raise self._error("${…} is not closed, or has an operator that is not known")

    def _operand(self, ends: str, *, pattern: bool = False) -> str:
        """Return the expanded text up to a character in `ends`, and skip that.

        A pattern keeps its escapes.
        """
        parts: list[str] = []
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign in ends:
                self._at += 1
                return "".join(parts)
            if pattern and sign == self._escape:
                parts.append("\\" + self._text[self._at + 1 : self._at + 2])
                self._at += 2
                continue
            parts.append(self._next(splitting=False))
        raise self._error("${…} is not closed")

    def _replaced(self, value: str, *, everywhere: bool) -> str:
        """Return the value of `${x/PATTERN/REPLACEMENT}`."""
        pattern = self._operand("/}", pattern=True)
        replacement = "" if self._text[self._at - 1] == "}" else self._operand("}")
        return re.sub(
            _regex(pattern, greedy=True), lambda _: replacement, value, count=0 if everywhere else 1
        )

    def _error(self, why: str) -> InvalidConfig:
        return InvalidConfig(f"{self._text!r}: {why}.")


def _stripped(value: str, pattern: str, operator: str) -> str:
    """Return the value without its shortest or longest prefix or suffix that matches."""
    regex = _regex(pattern, greedy=len(operator) == 2)
    if operator.startswith("#"):
        found = re.match(regex, value, re.DOTALL)
        return value[found.end() :] if found else value
    starts = range(len(value) + 1) if len(operator) == 2 else range(len(value), -1, -1)
    for start in starts:
        if re.fullmatch(regex, value[start:], re.DOTALL):
            return value[:start]
    return value


def _regex(pattern: str, *, greedy: bool) -> str:
    """Return the regular expression of a shell's pattern with `*`, `?` and escapes."""
    parts = []
    signs = iter(pattern)
    for sign in signs:
        if sign == "*":
            parts.append(".*" if greedy else ".*?")
        elif sign == "?":
            parts.append(".")
        else:
            parts.append(re.escape(next(signs, "") if sign == "\\" else sign))
    return "".join(parts)

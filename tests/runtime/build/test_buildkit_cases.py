"""Dockerfiles and expansions that BuildKit holds its own parser to, where its cases are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.build.dockerfile import Instruction, parse
from runtime.build.expansion import expand, split
from runtime.errors import InvalidConfig

DATA = (
    Path(os.environ.get("TONNAGE_DATA") or Path(__file__).parents[4] / "shared/data") / "dockerfile"
)
SET = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}
_NAMED = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="BuildKit's cases are not beside the project"
)


def cases(folder: str) -> list[str]:
    return sorted(path.name for path in (DATA / folder).iterdir()) if DATA.is_dir() else []


def rows(table: str) -> list[tuple[str, str]]:
    """Return the rows of a table of expansions that are for Linux, and assignments."""
    found = []
    for line in (DATA / table).read_text().splitlines() if DATA.is_dir() else ():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("ENV "):
            found.append((line, ""))
            continue
        *platform, source, expected = line.split("|")
        if platform != ["W"]:
            found.append((source, expected))
    return found


def quoted(word: str) -> str:
    """Return a word as Go quotes it."""
    signs = (
        _NAMED.get(sign) or (sign if sign.isprintable() else f"\\x{ord(sign):02x}") for sign in word
    )
    return f'"{"".join(signs)}"'


def expression(instruction: Instruction) -> str:
    """Return an instruction as an s-expression of BuildKit's."""
    parts = [instruction.keyword]
    if instruction.flags:
        parts.append(f"[{' '.join(map(quoted, instruction.flags))}]")
    if instruction.triggered:
        parts.append(expression(instruction.triggered))
    parts += map(quoted, instruction.words)
    return f"({' '.join(parts)})"


@pytest.mark.parametrize("name", cases("testfiles"))
def test_a_dockerfile_is_read_as_buildkit_reads_it(name: str) -> None:
    directory = DATA / "testfiles" / name
    found = parse((directory / "Dockerfile").read_text())
    expected = (directory / "result").read_text().strip()
    assert "\n".join(map(expression, found.instructions)) == expected


@pytest.mark.parametrize("name", cases("testfiles-negative"))
def test_a_dockerfile_that_buildkit_refuses_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="Dockerfile"):
        parse((DATA / "testfiles-negative" / name / "Dockerfile").read_text())


@pytest.mark.parametrize(("source", "expected"), rows("envVarTest"))
def test_a_word_is_expanded_as_buildkit_expands_it(source: str, expected: str) -> None:
    if expected.strip() == "error":
        with pytest.raises(InvalidConfig):
            expand(source.strip(), SET)
    else:
        assert expand(source.strip(), SET) == expected.strip()


def test_words_are_split_as_buildkit_splits_them() -> None:
    variables: dict[str, str] = {}
    for source, expected in rows("wordsTest"):
        if source.startswith("ENV "):
            name, _, value = source.removeprefix("ENV ").partition("=")
            variables[name] = value
        elif expected.strip() == "error":
            with pytest.raises(InvalidConfig):
                split(source.strip(), variables)
        else:
            assert split(source.strip(), variables) == expected[1:].split(","), source

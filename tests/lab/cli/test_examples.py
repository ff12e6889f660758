"""The examples in the help: each is a command line that the parser takes."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

import pytest

from lab.cli import examples, main, parser
from lab.cli.image import examples as image_examples
from lab.cli.vm import examples as vm_examples

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = {**examples.EXAMPLES, **image_examples.EXAMPLES, **vm_examples.EXAMPLES}
PARSER = parser.build()
COMMANDS = [(verb, command) for verb, several in EXAMPLES.items() for command, _ in several]


def leaves(above: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    """Yield the name of each verb that has no verbs below it."""
    below = [action for action in above._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name
    for action in below:
        for verb, each in action.choices.items():
            yield from leaves(each, f"{name} {verb}".strip())


@pytest.mark.parametrize("verb", list(leaves(PARSER)))
def test_every_verb_has_an_example(verb: str) -> None:
    assert EXAMPLES[verb]


@pytest.mark.parametrize(("verb", "command"), COMMANDS)
def test_an_example_is_a_command_of_its_verb(verb: str, command: str) -> None:
    command = command.partition(" >")[0].rpartition("| ")[2]
    words = [word for word in shlex.split(command) if word != "sudo"]
    assert words[: 1 + len(verb.split())] == ["tonnage", *verb.split()]
    assert callable(PARSER.parse_args(words[1:]).verb)


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_help_ends_with_the_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([*verb.split(), "--help"])
    shown = capsys.readouterr().out
    expected = examples.text(verb, EXAMPLES) or ""
    assert shown.rstrip().endswith(expected.rstrip())
    assert max(map(len, expected.splitlines())) <= 80


@pytest.mark.parametrize("verb", parser._MODULES)
def test_a_verb_alone_has_the_same_help_as_among_all(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for known in ((), (verb,)):
        with pytest.raises(SystemExit):
            parser.build(known).parse_args([verb, "--help"])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]

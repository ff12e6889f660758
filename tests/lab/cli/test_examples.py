"""The examples in the help: each is a command line that the parser takes."""

from __future__ import annotations

import shlex

import pytest

from lab.cli import examples, main, parser

COMMANDS = [
    (verb, command) for verb, several in examples.EXAMPLES.items() for command, _ in several
]


@pytest.mark.parametrize(("verb", "command"), COMMANDS)
def test_an_example_is_a_command_of_its_verb(verb: str, command: str) -> None:
    words = [word for word in shlex.split(command.partition(" >")[0]) if word != "sudo"]
    assert words[:2] == ["tonnage", verb]
    assert callable(parser.build().parse_args(words[1:]).verb)


@pytest.mark.parametrize("verb", examples.EXAMPLES)
def test_the_help_ends_with_the_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([verb, "--help"])
    shown = capsys.readouterr().out
    assert shown.rstrip().endswith((examples.text(verb) or "").rstrip())
    assert max(map(len, (examples.text(verb) or "").splitlines())) <= 80


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

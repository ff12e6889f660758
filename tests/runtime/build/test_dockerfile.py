"""Dockerfiles: here-documents, directives, and errors that name the line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.build.dockerfile import parse
from runtime.errors import InvalidConfig


def test_here_documents_hold_their_lines() -> None:
    (run, copy) = parse(
        "RUN <<EOF cat && cat <<-'B'\necho $a\nEOF\n\tb\n\t$b\n\tB\n"
        'COPY <<x <<"y" /d/\n1\nx\n2\ny\n'
    ).instructions
    first, second = run.heredocs
    assert (first.name, first.content, first.expanded, first.chomped) == (
        "EOF",
        "echo $a\n",
        True,
        False,
    )
    assert (second.name, second.content, second.expanded, second.chomped) == (
        "B",
        "b\n$b\n",
        False,
        True,
    )
    assert [each.content for each in copy.heredocs] == ["1\n", "2\n"]
    assert [each.expanded for each in copy.heredocs] == [True, False]
    assert (run.first_line, run.last_line, copy.first_line, copy.last_line) == (1, 6, 7, 11)


def test_a_shift_is_no_here_document() -> None:
    (run, arithmetic, exec_form) = parse(
        'RUN echo "<<EOF"\nRUN echo $((1 << 2))\nRUN ["cat", "<<EOF"]\n'
    ).instructions
    assert not run.heredocs + arithmetic.heredocs + exec_form.heredocs


def test_a_here_document_of_another_descriptor() -> None:
    (run,) = parse("RUN read 3<<EOF\n3\nEOF\n").instructions
    assert run.heredocs[0].descriptor == 3


def test_directives_are_read_at_the_very_top_alone() -> None:
    assert (
        parse("# syntax = docker/dockerfile:1\n# escape=`\nFROM a`\nb").syntax
        == "docker/dockerfile:1"
    )
    assert parse("\n# escape=`\nFROM a").escape == "\\"
    assert parse("# a comment\n# escape=`\nFROM a").escape == "\\"
    assert parse("\ufeff# Escape=`\r\nFROM a\r\n").escape == "`"


def test_keywords_are_read_in_any_case() -> None:
    (instruction,) = parse("  fRoM  a  as B ").instructions
    assert (instruction.keyword, instruction.words) == ("from", ("a", "as", "B"))


def test_flags_stand_before_the_arguments_and_may_be_quoted() -> None:
    (instruction,) = parse('COPY --chown="a b:c" --from=x -- --odd /d').instructions
    assert instruction.flags == ("--chown=a b:c", "--from=x")
    assert instruction.words == ("--odd", "/d")


def test_a_trigger_keeps_its_here_document() -> None:
    (instruction,) = parse("ONBUILD RUN <<E\nx\nE\n").instructions
    assert instruction.triggered and instruction.triggered.heredocs[0].content == "x\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "has no instructions"),
        ("# nothing\n\n", "has no instructions"),
        ("FROM a\nFORM b\n", r"Dockerfile:2: there is no instruction 'FORM'"),
        ("FROM a\n\nENV A\n", r"Dockerfile:3: ENV: A has no value"),
        ("FROM a\nENV A=b c\n", r"Dockerfile:2: ENV: 'c' is not NAME=VALUE"),
        ("LABEL\n", r"Dockerfile:1: LABEL: it needs a name"),
        ("# escape=x\nFROM a\n", r"Dockerfile:1: the escape character is 'x'"),
        ("# escape=`\n# escape=`\nFROM a\n", r"Dockerfile:2: the directive 'escape'"),
        ("FROM a\nRUN <<EOF\nnever\n", r"Dockerfile:2: the here-document 'EOF' is not ended"),
        ('CMD ["a", 1]\n', r"Dockerfile:1: CMD: an array may hold strings only"),
        ("ONBUILD\n", r"Dockerfile:1: ONBUILD needs an instruction"),
        ("ONBUILD FORM\n", r"Dockerfile:1: there is no instruction 'FORM'"),
    ],
)
def test_an_error_names_the_line(text: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        parse(text)


@given(st.text(alphabet=st.sampled_from("FROMUNCPY aelno\\`\n\t#<-\"'$[]{}=:"), max_size=120))
def test_any_text_is_a_dockerfile_or_refused(text: str) -> None:
    with suppress(InvalidConfig):
        parse("FROM a\n" + text)

"""Stages: their bases, which of them a target needs, and those that need each other."""

from __future__ import annotations

import pytest

from runtime.build import stages
from runtime.build.dockerfile import parse
from runtime.build.stages import Stages
from runtime.errors import InvalidConfig, Unavailable
from runtime.images.manifest import Platform

HOST = Platform("amd64", "linux")


def of(text: str, contexts: tuple[str, ...] = (), **arguments: str) -> Stages:
    return stages.parse(parse(text), arguments, HOST, contexts)


def needs(found: Stages, target: str | None = None) -> dict[int, set[int]]:
    return found.needs(found.target(target), lambda _: [])


def test_a_target_needs_its_base_and_what_it_copies_and_mounts_from() -> None:
    found = of(
        "FROM x AS a\nFROM x AS unused\nFROM x AS b\nFROM a AS c\nCOPY --from=b / /\n"
        "RUN --mount=type=bind,from=d,target=/d true\nCOPY --from=image / /\nFROM x AS d\n"
    )
    assert needs(found, "c") == {3: {0, 2, 4}, 0: set(), 2: set(), 4: set()}
    assert needs(found) == {4: set()}


def test_numbers_name_stages_too() -> None:
    found = of("FROM x\nFROM y\nCOPY --from=0 /a /b\nCOPY --from=7 /a /b\n")
    assert needs(found) == {1: {0}, 0: set()}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("FROM x AS a\nCOPY --from=b / /\nFROM x AS b\nCOPY --from=a / /\n", "a → b → a|b → a → b"),
        ("FROM x AS a\nCOPY --from=a / /\n", "a → a"),
        ("FROM x\nCOPY --from=0 / /\n", "stage-0 → stage-0"),
    ],
)
def test_stages_that_need_each_other_are_refused(text: str, shown: str) -> None:
    with pytest.raises(InvalidConfig, match=shown):
        needs(of(text))


def test_triggers_of_a_base_count() -> None:
    found = of("FROM x AS files\nFROM x AS base\nONBUILD COPY --from=files / /\nFROM base\n")
    triggers = stages.triggers_of(found.stages[1])
    given = found.needs(found.target(None), lambda each: triggers if each.number == 2 else [])
    assert given == {2: {0, 1}, 1: set(), 0: set()}


def test_a_context_stands_before_a_stage_of_its_name() -> None:
    found = of("FROM x AS a\nFROM a\nCOPY --from=a / /\n", ("a",))
    assert found.stages[1].base == "a"
    assert needs(found) == {1: set()}


def test_platforms_other_than_the_hosts_are_refused() -> None:
    assert of("FROM --platform=$BUILDPLATFORM x\n").stages[0].base == "x"
    with pytest.raises(Unavailable, match="linux/arm64"):
        of("FROM --platform=linux/arm64 x\n")
    with pytest.raises(InvalidConfig, match="is not a platform"):
        of("FROM --platform=arm x\n")
    with pytest.raises(InvalidConfig, match="FROM has no option --odd"):
        of("FROM --odd=1 x\n")


def test_a_variable_in_from_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="Dockerfile:3: from=\\$S has a variable"):
        needs(of("ARG S\nFROM x\nCOPY --from=$S / /\n"))


def test_names() -> None:
    found = of("ARG V=1\nFROM x:$V AS One\nFROM one\n", V="2")
    assert (found.stages[0].base, found.stages[1].base) == ("x:2", 0)
    with pytest.raises(InvalidConfig, match="There is no stage 'two'; known are: one"):
        found.target("two")
    with pytest.raises(InvalidConfig, match="another stage has the name"):
        of("FROM x AS a\nFROM y AS a\n")

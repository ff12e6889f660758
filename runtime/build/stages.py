"""The stages of a Dockerfile, their base images and dependencies.

(docker, "Dockerfile reference", "FROM", "ARG"; "Multi-stage builds")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from runtime.build.dockerfile import Dockerfile, Instruction
from runtime.build.expansion import expand
from runtime.errors import InvalidConfig, Unavailable
from runtime.images.manifest import Platform
from runtime.images.store import parse_platform

SCRATCH = "scratch"
# Build arguments that need no ARG and are not in the history. (docker, "Predefined ARGs")
PREDEFINED = tuple(
    name
    for each in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (each, each.upper())
)
_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `base` is an image or the number of an earlier stage."""

    number: int
    name: str | None
    base: str | int
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """Its name, else its number as docker shows it."""
        return self.name or f"stage-{self.number}"


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages, and the arguments before the first. `contexts` are names that no stage has."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]
    contexts: Collection[str] = ()

    def find(self, name: str) -> Stage | None:
        """Return the stage with a name or number, or None."""
        if name.isdecimal() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return next((each for each in self.stages if each.name == name.lower()), None)

    def target(self, name: str | None) -> Stage:
        """Return the stage to build, by default the last. Raise InvalidConfig."""
        stage = self.find(name) if name else self.stages[-1]
        if stage is None:
            known = ", ".join(each.name for each in self.stages if each.name) or "none has a name"
            raise InvalidConfig(f"There is no stage {name!r}; known are: {known}.")
        return stage

    def needs(
        self, target: Stage, triggers: Callable[[Stage], Sequence[Instruction]]
    ) -> dict[int, set[int]]:
        """Return the stages to build for a target, each with those that it needs itself.

        `triggers` returns the ONBUILD instructions of the base of a stage. Raise InvalidConfig if
        stages need each other.
        """
        found: dict[int, set[int]] = {}
        waiting = [target]
        while waiting:
            stage = waiting.pop()
            if stage.number not in found:
                found[stage.number] = self._sources(stage, triggers(stage))
                waiting += [self.stages[number] for number in found[stage.number]]
        try:
            TopologicalSorter(found).prepare()
        except CycleError as error:
            titles = " → ".join(self.stages[number].title for number in error.args[1])
            raise InvalidConfig(f"Stages of the Dockerfile need each other: {titles}.") from None
        return found

    def _sources(self, stage: Stage, triggers: Sequence[Instruction]) -> set[int]:
        """Return the numbers of the stages that a stage begins with or copies from."""
        found = {stage.base} if isinstance(stage.base, int) else set()
        for instruction in (*triggers, *stage.instructions):
            for name in sources_of(instruction):
                source = None if name in self.contexts else self.find(name)
                if source:
                    found.add(source.number)
        return found


def sources_of(instruction: Instruction) -> list[str]:
    """Return the stages and images that an instruction copies or mounts from.

    Raise InvalidConfig for a variable, whose value is known only when the stage is built.
    """
    names = []
    for flag in instruction.flags:
        if flag.startswith("--from="):
            names.append(flag.removeprefix("--from="))
        elif flag.startswith("--mount="):
            fields = flag.removeprefix("--mount=").split(",")
            names += [each.removeprefix("from=") for each in fields if each.startswith("from=")]
    for name in names:
        if "$" in name:
            words = "has a variable: begin a stage with it, and name that stage here"
            raise InvalidConfig(f"Dockerfile:{instruction.first_line}: from={name} {words}.")
    return names


def triggers_of(stage: Stage) -> list[Instruction]:
    """Return the instructions that ONBUILD leaves to stages that begin with this one."""
    return [each.triggered for each in stage.instructions if each.triggered is not None]


def platform_arguments(target: Platform, build: Platform) -> dict[str, str]:
    """Return the global arguments that describe the platform."""
    return {
        "TARGETPLATFORM": str(target), "TARGETOS": target.os, "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant, "BUILDPLATFORM": str(build), "BUILDOS": build.os,
        "BUILDARCH": build.architecture, "BUILDVARIANT": build.variant,
    }  # fmt: skip


def check_platform(text: str, host: Platform) -> None:
    """Raise InvalidConfig for a text that is no platform, Unavailable for another than the host's.

    Programs of other platforms do not run here.
    """
    wanted = parse_platform(text)
    same = (wanted.os, wanted.architecture) == (host.os, host.architecture)
    if not same or (wanted.variant and host.variant and wanted.variant != host.variant):
        raise Unavailable(f"This host builds for {host} alone, not for {text}.")


def parse(
    dockerfile: Dockerfile,
    passed: Mapping[str, str],
    host: Platform,
    contexts: Collection[str] = (),
) -> Stages:
    """Return the stages; `passed` are build arguments, `contexts` names that stand for contexts.

    Raise InvalidConfig.
    """
    arguments = platform_arguments(host, host)
    stages: list[Stage] = []
    rest = list(dockerfile.instructions)
    while rest and rest[0].keyword == "arg":
        for name, value in arguments_of(rest.pop(0), arguments, dockerfile.escape):
            default = arguments.get(name, "") if value is None else value
            arguments[name] = passed.get(name, default)
    if not rest or rest[0].keyword != "from":
        line = rest[0].first_line if rest else 1
        words = "a Dockerfile begins with FROM, or with ARG before it"
        raise InvalidConfig(f"Dockerfile:{line}: {words}.")
    while rest:
        first = rest.pop(0)
        instructions = []
        while rest and rest[0].keyword != "from":
            instructions.append(rest.pop(0))
        title, base = _header(first, stages, arguments, dockerfile.escape, host)
        earlier = None
        if base not in contexts:
            earlier = next((each.number for each in stages if each.name == base.lower()), None)
        found: str | int = base if earlier is None else earlier
        stages.append(Stage(len(stages), title, found, tuple(instructions)))
    return Stages(tuple(stages), arguments, contexts)


def arguments_of(
    instruction: Instruction, variables: Mapping[str, str], escape: str
) -> list[tuple[str, str | None]]:
    """Return names and defaults of an ARG; None for a name without a default."""
    found: list[tuple[str, str | None]] = []
    for word in instruction.words:
        name, equals, value = word.partition("=")
        found.append((name, expand(value, variables, escape) if equals else None))
    if not found:
        raise InvalidConfig(f"Dockerfile:{instruction.first_line}: ARG needs a name.")
    return found


def _header(
    first: Instruction,
    stages: Sequence[Stage],
    arguments: Mapping[str, str],
    escape: str,
    host: Platform,
) -> tuple[str | None, str]:
    """Return the name and the base of a stage, from its FROM. Raise InvalidConfig."""
    words = first.words
    where = f"Dockerfile:{first.first_line}"
    for flag in first.flags:
        option, _, value = flag.removeprefix("--").partition("=")
        if option != "platform":
            raise InvalidConfig(f"{where}: FROM has no option --{option}.")
        check_platform(expand(value, arguments, escape), host)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise InvalidConfig(f"{where}: FROM takes IMAGE, or IMAGE AS NAME.")
    name = words[2].lower() if len(words) == 3 else None
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidConfig(f"{where}: {words[2]!r} is not a name for a stage.")
    if name is not None and any(each.name == name for each in stages):
        raise InvalidConfig(f"{where}: another stage has the name {name!r}.")
    base = expand(words[0], arguments, escape)
    if not base:
        raise InvalidConfig(f"{where}: {words[0]!r} expands to nothing: give its ARG a value.")
    return name, base

"""The stages of a Dockerfile, their base images and dependencies.

(docker, "Dockerfile reference", "FROM", "ARG"; "Multi-stage builds")
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.build.dockerfile import Dockerfile, Instruction
from runtime.build.expansion import expand
from runtime.errors import InvalidConfig
from runtime.images.manifest import Platform

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


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages, and the arguments before the first."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]

    def find(self, name: str) -> Stage | None:
        """Return the stage with a name or number, or None."""
        if name.isdigit() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return next((each for each in self.stages if each.name == name.lower()), None)

    def target(self, name: str | None) -> Stage:
        """Return the stage to build, by default the last. Raise InvalidConfig."""
        stage = self.find(name) if name else self.stages[-1]
        if stage is None:
            known = ", ".join(each.name for each in self.stages if each.name) or "none has a name"
            raise InvalidConfig(f"There is no stage {name!r}; known are: {known}.")
        return stage

    def needed(self, target: Stage) -> list[Stage]:
        """Return the stages that a target needs in build order, the target last."""
        waiting, numbers = [target], set()
        while waiting:
            stage = waiting.pop()
            if stage.number in numbers:
                continue
            numbers.add(stage.number)
            waiting += [self.stages[number] for number in self._sources(stage)]
        return [self.stages[number] for number in sorted(numbers)]

    def _sources(self, stage: Stage) -> set[int]:
        """Return the numbers of the stages that a stage begins with or copies from."""
        found = {stage.base} if isinstance(stage.base, int) else set()
        for instruction in stage.instructions:
            for name in sources_of(instruction):
                source = self.find(name)
                if source and source.number < stage.number:
                    found.add(source.number)
        return found


def sources_of(instruction: Instruction) -> list[str]:
    """Return the stages and images that an instruction copies or mounts from."""
    names = []
    for flag in instruction.flags:
        if flag.startswith("--from="):
            names.append(flag.removeprefix("--from="))
        elif flag.startswith("--mount="):
            fields = flag.removeprefix("--mount=").split(",")
            names += [each.removeprefix("from=") for each in fields if each.startswith("from=")]
    return names


def platform_arguments(target: Platform, build: Platform) -> dict[str, str]:
    """Return the global arguments that describe the platform."""
    return {
        "TARGETPLATFORM": str(target), "TARGETOS": target.os, "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant, "BUILDPLATFORM": str(build), "BUILDOS": build.os,
        "BUILDARCH": build.architecture, "BUILDVARIANT": build.variant,
    }  # fmt: skip


def parse(
    dockerfile: Dockerfile, passed: Mapping[str, str], automatic: Mapping[str, str]
) -> Stages:
    """Return the stages; `passed` are build arguments, `automatic` those of the platform.

    Raise InvalidConfig.
    """
    arguments = dict(automatic)
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
        stages.append(_stage(first, instructions, stages, arguments, dockerfile.escape))
    return Stages(tuple(stages), arguments)


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


def _stage(
    first: Instruction,
    instructions: list[Instruction],
    stages: Sequence[Stage],
    arguments: Mapping[str, str],
    escape: str,
) -> Stage:
    words = first.words
    where = f"Dockerfile:{first.first_line}"
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
    earlier = next((each.number for each in stages if each.name == base.lower()), None)
    found: str | int = base if earlier is None else earlier
    return Stage(len(stages), name, found, tuple(instructions))

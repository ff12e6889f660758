"""OCI runtimes that the user names: any program with runc's command line becomes a target."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import AlreadyExists, InvalidConfig
from lab.host import facts
from lab.targets.registry import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The name becomes part of the names of cgroups and directories, which `clean` recognizes.
_WORD = re.compile(r"[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*")
_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class RuntimeBinary:
    """A program with runc's command line, and the version that it prints."""

    path: Path
    version: str

    def document(self) -> dict[str, str]:
        """Return the runtime for run.json."""
        return {"path": str(self.path), "version": self.version}


def examine(asked: Iterable[tuple[str, Path]]) -> dict[str, RuntimeBinary]:
    """Return the runtimes by name; each is run once, to print its version.

    Raise AlreadyExists for a name that a target has or that is given twice, and InvalidConfig for
    a name that is not a word, a path that is no program, and a program that prints no version.
    """
    found: dict[str, RuntimeBinary] = {}
    for name, path in asked:
        if not _WORD.fullmatch(name) or len(name) > _LONGEST_NAME:
            raise InvalidConfig(
                f"--runtime-binary: {name!r} can't name a target: use up to {_LONGEST_NAME} small"
                " letters, digits and single hyphens, and a letter first in each word."
            )
        if name in NAMES:
            raise AlreadyExists(
                f"--runtime-binary: there is a target {name} already: choose another name."
            )
        if name in found:
            raise AlreadyExists(f"--runtime-binary: the name {name} is given twice: give it once.")
        found[name] = _examined(path)
    return found


def paths(runtimes: Mapping[str, RuntimeBinary]) -> dict[str, Path]:
    """Return the paths by name, as workers need them."""
    return {name: runtime.path for name, runtime in runtimes.items()}


def _examined(path: Path) -> RuntimeBinary:
    program = shutil.which(path)
    if program is None:
        raise InvalidConfig(f"--runtime-binary: {path} is not a program that can be run.")
    version = facts.version(program)
    if not version[:1].isdigit():
        raise InvalidConfig(
            f"--runtime-binary: {path} --version prints no version ({version}): it must be an OCI"
            " runtime with runc's command line."
        )
    return RuntimeBinary(Path(program).absolute(), version)

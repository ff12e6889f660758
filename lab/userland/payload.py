"""The payload: the static program that runs in every target, compiled once."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from lab.userland.cache_entry import cache_entry, digest
from lab.userland.host_tools import run_tool
from vms.guest import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_COMPILE = ("gcc", "-std=gnu17", "-O2", "-static", "-Wall", "-Wextra", "-Werror")


def build_payload(progress: Callable[[str], None]) -> Path:
    """Return the path of the payload; compile it if its sources have changed. Raises LabError."""
    sources = sorted(program.DIRECTORY.glob("*.c"))
    inputs = [*sources, *sorted(program.DIRECTORY.glob("*.h"))]
    contents = [part for path in inputs for part in (path.name, path.read_bytes())]
    key = digest(*contents, *_COMPILE, platform.machine())
    with cache_entry("payload", key) as (directory, staging):
        if staging:
            progress("compiling the payload")
            output = str(staging / "payload")
            run_tool([*_COMPILE, "-o", output, *map(str, sources)], "gcc")
    return directory / "payload"

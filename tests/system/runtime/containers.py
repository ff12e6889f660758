"""Run shell scripts in containers, and list what containers leave on the host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import runtime
from tests.cgroup_tree import cgroups_named

if TYPE_CHECKING:
    from runtime.spec.config import Resources

SECONDS = 20.0


@dataclass(frozen=True)
class Output:
    """The exit code of a script, and its stdout and stderr."""

    exit_code: int
    text: str

    def __contains__(self, line: str) -> bool:
        return line in self.text.splitlines()


def run(
    tree: Path, root: Path, script: str, resources: Resources | None = None, **changes: object
) -> Output:
    """Run a shell script in a container until it ends; `changes` are fields of the Spec."""
    spec = runtime.default_spec(["sh", "-c", script], resources=resources)
    spec = spec.replace(**changes)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with runtime.Container.run(
            "box", spec, [tree], stdout=writing, stderr=writing, root=root
        ) as container:
            os.close(writing)
            writing = -1
            text = b""
            while data := os.read(reading, 65536):
                text += data
            code = container.wait(SECONDS)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    return Output(code, text.decode())


def children() -> str:
    """Return the PIDs of this process's children, unreaped ones included."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def box_cgroups() -> list[Path]:
    """Return the cgroups of containers named box…."""
    return cgroups_named("tonnage-box*")

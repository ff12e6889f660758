"""A directory that looks like a clone of the project, in which commands of pages run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from tests.docs.pages import Block

LINKED = ("benchmarks", "examples", "Makefile", "lab", "pyproject.toml", "setup")
SECONDS = 600


def workplace(folder: Path) -> None:
    """Link what commands read into a folder; results are written beside the linked ones."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "results").mkdir()
    for path in (ROOT / "results").iterdir():
        (folder / "results" / path.name).symlink_to(path)


def run(block: Block, folder: Path, replaced: dict[str, str] | None = None) -> str:
    """Run a block as a script and return its output; a failure raises AssertionError.

    `replaced` are parts of commands for which shorter ones stand in.
    """
    script = "\n".join(block.commands()) + "\n"
    for long, short in (replaced or {}).items():
        script = script.replace(long, short)
    if block.argument.startswith("with "):
        script = f"{script.rstrip()} {block.argument.removeprefix('with ')}"
    ended = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert ended.returncode == 0, (
        f"{block.where}\n{script}\nexit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    )
    return ended.stdout

"""The programs in C that benchmarks need, compiled when they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "floor"


def compile_program(name: str, directory: Path, *words: str) -> Path:
    """A static program of that name, in a directory; `words` are the compiler's."""
    program = directory / name
    subprocess.run(
        ["gcc", "-std=gnu17", "-O2", "-static", "-Wall", "-Wextra", "-Werror", *words,
         "-o", program, SOURCES / f"{name}.c"], check=True,
    )  # fmt: skip
    return program

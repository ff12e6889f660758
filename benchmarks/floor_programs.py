"""Compilation of the benchmarks' C programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "floor"


def compile_program(name: str, directory: Path, *words: str) -> Path:
    """Compile a static program into a directory and return its path; `words` go to gcc."""
    program = directory / name
    subprocess.run(
        ["gcc", "-std=gnu17", "-O2", "-static", "-Wall", "-Wextra", "-Werror", *words,
         "-o", program, SOURCES / f"{name}.c"], check=True,
    )  # fmt: skip
    return program

"""The packages that a verb imports, since a person waits for each: pandas alone takes 0.3 s."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOADED = """
import contextlib, io, sys
from lab.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
NUMERIC = {"numpy", "pandas", "scipy"}
RUN = "results/2026-11-29-vm"


def packages(*words: str) -> set[str]:
    """Return the top-level packages that a command has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_replayed_race_imports_neither_numbers_nor_tables(language: str) -> None:
    """`make demo` downloads what it imports."""
    found = packages("race", "--replay", RUN, "--speed", "1000", "--lang", language)
    assert "lab" in found
    assert not found & {*NUMERIC, "jinja2", "matplotlib", "psutil", "pyperf", "rich"}


@pytest.mark.parametrize("output_format", ["text", "json", "csv", "markdown"])
def test_the_figures_of_a_run_need_no_frames(output_format: str) -> None:
    found = packages("show", RUN, "--format", output_format)
    assert "numpy" in found  # of the intervals
    assert not found & {"jinja2", "matplotlib", "pandas", "pyperf"}

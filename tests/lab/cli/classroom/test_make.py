"""`tonnage class make`: everything is written, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.main import main

ROOT = Path(__file__).parents[4]
RUN = str(ROOT / "results/2026-11-29-vm")


def test_a_notebook_that_is_named_twice_is_refused_before_any_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "class"
    twice = ["trust", str(ROOT / "notebooks/trust.ipynb")]
    assert main(["class", "make", *twice, "--student", "a", "--run", RUN, "--out", str(out)]) == 2
    assert "Two of the notebooks would be" in capsys.readouterr().err
    assert not out.exists()

"""The programs of examples/, each run as its first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
PROJECT = Path(__file__).parents[2]
PROGRAM_SECONDS = 600


def run(
    *words: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    result = subprocess.run(
        words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=PROGRAM_SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def example(name: str) -> tuple[str, Path]:
    return sys.executable, PROJECT / "examples" / f"{name}.py"


def test_every_example_is_run() -> None:
    names = {path.stem for path in (PROJECT / "examples").glob("*.py")}
    assert names == {"start_container", "boot_machine", "measure_and_compare"}


def test_start_container() -> None:
    output = run(*example("start_container"))
    assert "process 1 of example, user 0" in output
    assert output.splitlines()[-1] == "exit code: 3"


def test_boot_machine() -> None:
    with tempfile.TemporaryDirectory(prefix="te-", dir="/tmp") as state:  # short, for the sockets
        environment = {**os.environ, "TONNAGE_STATE": state}
        run(Path(sys.executable).with_name("tonnage"), "vm", "build", environment=environment)
        assert "example runs Linux" in run(*example("boot_machine"), environment=environment)


def test_measure_and_compare(tmp_path: Path) -> None:
    *lines, folder = run(*example("measure_and_compare"), "3", cwd=tmp_path).splitlines()
    assert any("container / native = " in line and "×" in line for line in lines)
    assert (tmp_path / folder / "measurements.csv").exists()

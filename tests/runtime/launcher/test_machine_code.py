"""The machine code of the loop, and machines that there is none for."""

from __future__ import annotations

import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Unavailable
from runtime.launcher import machine_code, spawn
from runtime.linux import syscalls

if TYPE_CHECKING:
    from pathlib import Path

ASSEMBLERS = {"x86_64": "as", "aarch64": "aarch64-linux-gnu-as"}


@pytest.mark.parametrize("machine", ASSEMBLERS)
def test_the_machine_code_is_what_its_listing_says(machine: str, tmp_path: Path) -> None:
    assembler = ASSEMBLERS[machine]
    objcopy = assembler.removesuffix("as") + "objcopy"
    if machine == platform.machine():
        assembler, objcopy = "as", "objcopy"
    if not shutil.which(assembler):
        pytest.skip(f"{assembler} is not installed")
    lines = machine_code._CODE[machine].split("\n")
    rows = [line.split(maxsplit=1) for line in lines if line.strip()]
    syntax = ".intel_syntax noprefix\n" if machine == "x86_64" else ""
    source = tmp_path / "loop.s"
    source.write_text(syntax + "\n".join(words for _, words in rows) + "\n")
    subprocess.run([assembler, source, "-o", tmp_path / "loop.o"], check=True)
    subprocess.run(
        [objcopy, "-O", "binary", "-j", ".text", tmp_path / "loop.o", tmp_path / "loop"], check=True
    )
    assert (tmp_path / "loop").read_bytes().hex() == "".join(code for code, _ in rows)


def test_a_machine_without_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "MACHINE", "pdp11")
    with pytest.raises(Unavailable, match="can't be started on pdp11: only x86_64 and aarch64"):
        spawn.Launch()

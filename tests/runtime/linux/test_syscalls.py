"""The numbers of system calls, compared with the kernel's own headers."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from runtime.linux import syscalls

PROJECT = Path(__file__).parents[3]
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    rows = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(), re.MULTILINE)
    numbers = {name.upper(): int(number) for name, number in rows}
    column = syscalls._COLUMNS[machine]
    ours = {name: columns[column] for name, columns in syscalls._TABLE.items()}
    assert ours == {name: numbers.get(name) for name in ours}


def test_every_call_of_the_table_is_made_somewhere() -> None:
    sources = [file.read_text() for folder in ("runtime", "tests") for file in
               (PROJECT / folder).rglob("*.py")]  # fmt: skip
    names = {
        name for text in sources for name in re.findall(r"\bsyscalls\.([A-Z][A-Z0-9_]*)", text)
    }
    assert names >= set(syscalls._TABLE)


def test_a_machine_without_a_table_has_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "MACHINE", "pdp11")
    with pytest.raises(OSError, match="system calls of pdp11 are not known") as caught:
        syscalls.__getattr__("MOUNT")
    assert caught.value.errno == errno.ENOSYS

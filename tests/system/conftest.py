"""The run ends with a check that nothing of ours is left on the host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "tonnage"
CGROUPS = Path("/sys/fs/cgroup")


def left_on_host() -> set[str]:
    """What of ours is on the host: processes, mounts, cgroups, links, rules, scratch folders."""
    return {
        *processes(),
        *(
            f"mount {line.split()[1]}"
            for line in Path("/proc/self/mounts").read_text().splitlines()
            if OURS in line
        ),
        *(f"cgroup {path}" for path in cgroups()),
        *(f"link {path.name}" for path in Path("/sys/class/net").iterdir() if OURS in path.name),
        *(f"rule {line}" for line in rules()),
        *(f"folder {path}" for path in cache_directory().glob("s[0-9]*")),
        *(f"folder {path}" for path in Path("/run").glob("tonnage/*")),
    }


def processes() -> Iterator[str]:
    mine = {os.getpid(), os.getppid()}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in mine:
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        line = b" ".join(words)
        program = words[0].rpartition(b"/")[2]
        if (
            program == b"payload"
            or b"lab.worker" in line
            or (b"qemu" in program and b"tonnage" in line)
        ):
            yield f"process {entry.name} {line.decode(errors='replace')[:80]}"


def cgroups() -> Iterator[Path]:
    for directory, names, _ in os.walk(CGROUPS):
        for name in names:
            if OURS in name:
                yield Path(directory) / name


def rules() -> list[str]:
    if not shutil.which("nft"):
        return []
    said = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    return [line for line in said.stdout.splitlines() if OURS in line]


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    before = left_on_host()
    yield
    left = sorted(left_on_host() - before)
    assert not left, "left on the host:\n" + "\n".join(left)

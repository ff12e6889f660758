"""Belongings without root: folders, and processes that keep their files there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.hands_on.belongings import Belongings, clean

SECONDS = 20.0
WAITS = "import sys, time; print(flush=True); time.sleep(60)"
OWNER = (
    "import subprocess, sys\n"
    "from pathlib import Path\n"
    "from lab.hands_on.belongings import Belongings\n"
    "b = Belongings()\n"
    "other = b.folder_below(Path(sys.argv[1]))\n"
    f"server = subprocess.Popen([sys.executable, '-c', {WAITS!r}, str(b.folder)])\n"
    "print(b.folder, other, server.pid, flush=True)\n"
    "sys.stdin.read()\n"
)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_folders_and_servers_go_with_their_owner(tmp_path: Path, death: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as owner:  # fmt: skip
        assert owner.stdout
        folder, other, server = owner.stdout.readline().split()
        assert Path(folder).is_dir()
        os.killpg(owner.pid, death)  # as a terminal or a notebook server does
    deadline = time.monotonic() + SECONDS
    while (Path(folder).exists() or Path(other).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert not Path(other).exists()
    assert ended(int(server))


def test_what_a_killed_keeper_leaves_is_cleaned(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout
        folder, _, server = owner.stdout.readline().split()
        line = f"removed {folder}"
        assert line not in clean()
        keeper = int(folder.rpartition("-")[2])
        os.kill(keeper, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while not ended(keeper) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert line not in clean()  # the kernel still uses it
        owner.kill()
    assert Path(folder).is_dir()
    assert line in clean()
    assert not Path(folder).exists()
    assert ended(int(server))


def test_new_belongings_remove_those_of_the_run_before() -> None:
    first = Belongings()
    (first.folder / "file").write_text("")
    second = Belongings()
    assert not first.folder.exists()
    assert second.folder.is_dir()
    second.close()
    second.close()
    first.close()
    assert not second.folder.exists()


def test_a_folder_is_private() -> None:
    belongings = Belongings()
    try:
        assert belongings.folder.stat().st_mode & 0o777 == 0o700
    finally:
        belongings.close()

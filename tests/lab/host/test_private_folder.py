"""Private folders: made, held by whoever has the lock, and removed once nobody has it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab.host import private_folder

PREFIX = "tonnage-try-"
HOLDER = (
    "import subprocess, sys\n"
    "from lab.host.private_folder import private_folder\n"
    f"with private_folder({PREFIX!r}) as (path, lock):\n"
    "    child = subprocess.Popen([sys.executable, '-c', 'input()'], pass_fds=(lock,))\n"
    "    print(path, flush=True)\n"
    "    child.wait()\n"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the folders are made in."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_is_private_and_ends_with_its_block() -> None:
    with private_folder.private_folder(PREFIX) as (path, _):
        assert path.stat().st_mode & 0o777 == 0o700
        assert private_folder.clean(PREFIX) == []
        assert path.is_dir()
    assert not path.exists()


def test_a_folder_is_left_once_the_last_holder_is_dead() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout
        assert maker.stdin
        path = Path(maker.stdout.readline().strip())
        (path / "token").write_text("")
        maker.kill()
        maker.wait()
        assert private_folder.clean(PREFIX) == []  # its child holds the lock
        maker.stdin.close()
        assert maker.stdout.read() == ""  # the child has ended
    assert private_folder.clean(PREFIX) == [f"removed {path}"]
    assert not path.exists()


def test_a_folder_that_is_just_being_made_stays(temporary: Path) -> None:
    young = temporary / f"{PREFIX}{os.getpid()}-abc"
    young.mkdir()
    assert private_folder.clean(PREFIX) == []
    assert young.is_dir()


def test_links_and_pipes_are_not_followed(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir()
    (temporary / f"{PREFIX}1-link").symlink_to(precious)
    (temporary / f"{PREFIX}file").write_text("")
    piped = temporary / f"{PREFIX}0-pipe"
    piped.mkdir()
    os.mkfifo(piped / "lock")
    assert private_folder.clean(PREFIX) == [f"removed {piped}"]
    assert precious.is_dir()


def test_another_users_folder_is_left_to_root(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = temporary / f"{PREFIX}0-other"
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert private_folder.removable(f"{PREFIX}*") == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert private_folder.removable(f"{PREFIX}*") == [folder]

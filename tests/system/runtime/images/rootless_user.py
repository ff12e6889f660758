"""A user without privileges who runs `tonnage image`.

The command runs on the system's Python with copies of the packages, since the tests' own Python and
the checkout may be readable by root alone.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NOBODY = 65534
FIRST_ID, IDS = 300000, 65536
PROJECT = Path(__file__).parents[4]
SYSTEM_PYTHON = "/usr/bin/python3"
_PACKAGES = ("lab", "runtime", "vms")
_MODULES = ("msgspec", "backports.zstd")


@dataclass(frozen=True)
class User:
    """The user `nobody`, with a home directory, and with ranges of ids or without."""

    home: Path
    packages: Path
    has_ids: bool

    @property
    def store(self) -> Path:
        """The user's image store."""
        return self.home / ".local/share/tonnage/images"

    def image(
        self, *words: str, document: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a verb of `tonnage image` as the user."""
        granted = "".join(
            f"mount --bind '{self.home}/granted' /etc/{name}\n"
            for name in ("subuid", "subgid")
            if self.has_ids
        )
        script = (
            f'set -e\n{granted}cd "$HOME"\n'
            f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "$@"'
        )
        command = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh"]
        python = [SYSTEM_PYTHON, "-m", "lab.cli.main", "image"]
        environment = {
            "HOME": str(self.home), "PYTHONPATH": str(self.packages), "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        return subprocess.run(
            [*command, *python, *words], input=document, capture_output=True, check=False,
            env=environment, timeout=120,
        )  # fmt: skip


def packages(directory: Path) -> Path:
    """Return a readable copy of the packages and of what they import. Skip where they don't run."""
    found = directory / "packages"
    leave = shutil.ignore_patterns("__pycache__")
    for name in _PACKAGES:
        shutil.copytree(PROJECT / name, found / name, ignore=leave)
    for name in _MODULES:
        module = importlib.import_module(name)
        assert module.__file__
        shutil.copytree(Path(module.__file__).parent, found / name.replace(".", "/"), ignore=leave)
    tried = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import msgspec"], capture_output=True, check=False, text=True,
        env={"PYTHONPATH": str(found)},
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"the system's Python can't run the packages: {tried.stderr.strip()}")
    return found


def new_user(directory: Path, found: Path, *, ids: bool) -> User:
    """Return the user with an empty home directory."""
    if ids and not shutil.which("newuidmap"):
        pytest.skip("newuidmap is not installed: apt-get install uidmap")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    home = directory / "home"
    home.mkdir()
    (home / "granted").write_text(f"nobody:{FIRST_ID}:{IDS}\n")
    os.chown(home, NOBODY, NOBODY)
    return User(home, found, ids)

"""The private folder of a student's server, which holds its token, after a kill of the command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = """
import os, subprocess, sys
process = subprocess.Popen(
    [sys.executable, "-m", "lab.classroom.jupyter_process", str(os.getpid()), sys.argv[1]],
    stdin=subprocess.DEVNULL,
)
os.kill(os.getpid(), 9)
"""


def test_the_token_of_a_killed_command_is_removed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    (private / "config").mkdir(parents=True)
    (private / "config" / "jupyter_server_config.json").write_text("the token")
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(private / "config"), "HOME": "/"}
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, str(private)], env=environment, check=False, timeout=60
    )
    assert ended.returncode == -9
    deadline = time.monotonic() + 60
    while private.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not private.exists()

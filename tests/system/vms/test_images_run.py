"""`tonnage vm run`: a machine of an image runs in the foreground and ends with its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import build
from tests.system.pipes import await_words
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
TONNAGE = str(Path(sys.executable).with_name("tonnage"))


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """Yield a state directory whose store contains one image."""
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        land = build.build(lambda _: None)
        words = "console=ttyS0 quiet panic=-1 TONNAGE_ROOT=/dev/vda"
        Store(Path(path) / "images").add(
            "small", "a test", land.disk, land.kernel, land.initramfs, words
        )
        yield Path(path)


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "TONNAGE_STATE": str(state)}


def tonnage(state: Path, *words: str) -> str:
    result = subprocess.run(
        [TONNAGE, "vm", *words], env=environment(state), capture_output=True, text=True, check=True
    )
    return result.stdout


@contextmanager
def running(state: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a machine, and end the run with the block if it has not ended before."""
    process = subprocess.Popen(
        [TONNAGE, "vm", "run", "small", "--accel", "tcg", "--memory", "256M", *words],
        env=environment(state), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        yield process
        process.terminate()


def test_a_machine_runs_until_its_console_is_left(state: Path) -> None:
    """Two processes run a machine each; a third machine with a name in use is refused."""
    with running(state, "--name", "one") as one, running(state, "--name", "two") as two:
        await_words(one.stdout, b"first-instruction", 60.0)
        await_words(two.stdout, b"first-instruction", 60.0)
        listed = json.loads(tonnage(state, "list", "--format", "json"))
        assert [(each["name"], each["state"]) for each in listed] == [
            ("one", "running"), ("two", "running"),
        ]  # fmt: skip
        with running(state, "--name", "two") as third:
            assert third.wait(60) == 2
        assert one.stdin is not None
        one.stdin.write(b"\x1d")
        one.stdin.flush()
        assert one.wait(30) == 0
        two.terminate()
        assert two.wait(30) == 130
    assert list((state / "r").iterdir()) == []
    assert not any(Path(f"/proc/{each['pid']}/exe").exists() for each in listed)


def test_the_next_run_removes_what_a_killed_run_left(state: Path) -> None:
    with running(state, "--name", "killed") as killed:
        await_words(killed.stdout, b"first-instruction", 60.0)
        (listed,) = json.loads(tonnage(state, "list", "--format", "json"))
        killed.send_signal(signal.SIGKILL)
    assert Path(f"/proc/{listed['pid']}").exists()
    assert tonnage(state, "run", "small", "--accel", "tcg", "--xml").startswith("<domain")
    assert not Path(f"/proc/{listed['pid']}/exe").exists()
    assert list((state / "r").iterdir()) == []

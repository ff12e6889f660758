"""Signals that the runtime's caller ignores or blocks have their defaults in the container.

(signal(7))
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, sleeps, waited_for

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

# Ignore and block all signals, then execute the command.
DEAF = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[1], sys.argv[1:])
"""


def deaf(bundle: Bundle, *words: str) -> subprocess.Popen[bytes]:
    command = (bundle.runtime.command, "--root", str(bundle.runtime.root), *words)
    with (bundle.path / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-ISc", DEAF, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip


def ended(bundle: Bundle, *words: str) -> None:
    assert deaf(bundle, *words).wait(DEADLINE_SECONDS) == 0, bundle.errors()


def dispositions(text: str) -> dict[str, int]:
    """Return the masks of blocked and ignored signals. (proc_pid_status(5))"""
    lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return {name: int(lines[name], 16) for name in ("SigBlk", "SigIgn")}


def hears_all(pid: int) -> bool:
    waited_for(lambda: sleeps(pid), "it runs")
    return not any(dispositions(Path(f"/proc/{pid}/status").read_text()).values())


def made_of(bundle: Bundle) -> tuple[str, ...]:
    bundle.shell("exec sleep 60")
    bundle.write()
    return ("--bundle", str(bundle.path), bundle.identity)


def test_a_detached_program_hears_every_signal(bundle: Bundle) -> None:
    ended(bundle, "run", "--detach", *made_of(bundle))
    assert hears_all(bundle.state()["pid"])


def test_a_created_program_hears_every_signal(bundle: Bundle) -> None:
    ended(bundle, "create", *made_of(bundle))
    ended(bundle, "start", bundle.identity)
    assert hears_all(bundle.state()["pid"])


def test_a_program_in_the_foreground_hears_every_signal(bundle: Bundle) -> None:
    """The runtime receives the signals that it forwards."""
    process = deaf(bundle, "run", *made_of(bundle))
    bundle.wait("running")
    assert hears_all(bundle.state()["pid"])
    bundle.kill()
    assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGKILL


def test_a_signal_is_handed_on_by_a_runtime_that_was_deaf(bundle: Bundle) -> None:
    bundle.shell("trap 'exit 5' TERM; echo up >/up; while :; do sleep 0.1; done")
    bundle.write()
    process = deaf(bundle, "run", "--bundle", str(bundle.path), bundle.identity)
    waited_for((bundle.rootfs / "up").exists, "it runs")
    process.terminate()
    assert process.wait(DEADLINE_SECONDS) == 5


@pytest.mark.parametrize("detached", [False, True])
def test_an_execed_program_hears_every_signal(bundle: Bundle, detached: bool) -> None:
    bundle.running()
    pid_file = bundle.path / "pid"
    words = (*(("--detach",) if detached else ()), "--pid-file", str(pid_file))
    process = deaf(bundle, "exec", *words, bundle.identity, "sleep", "60")
    waited_for(pid_file.exists, "exec")
    assert hears_all(int(pid_file.read_text()))
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert process.wait(DEADLINE_SECONDS) == (0 if detached else 128 + signal.SIGKILL)


def test_every_hook_hears_every_signal(bundle: Bundle) -> None:
    """Hooks inside the container too."""
    log = bundle.path / "hooks"
    log.mkdir()
    bundle.mount("/hooks", "none", str(log), "bind", "rw")
    names = (
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
    )  # fmt: skip
    bundle.config["hooks"] = {
        name: [
            {
                "path": "/bin/sh",
                "args": ["sh", "-c", f"exec cat /proc/self/status >{where}/{name}"],
                "env": ["PATH=/usr/bin:/bin"],
            }
        ]
        for name in names
        for where in ("/hooks" if name == "startContainer" else str(log),)
    }
    ended(bundle, "create", *made_of(bundle))
    ended(bundle, "start", bundle.identity)
    ended(bundle, "delete", "--force", bundle.identity)
    for name in names:
        assert not any(dispositions((log / name).read_text()).values()), name

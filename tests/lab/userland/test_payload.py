"""Compiling the payload, and its answers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import processes
from lab.userland.payload import build_payload
from vms.guest import payload_protocol

NOBODY = 65534
PATIENCE_SECONDS = 60.0

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def quiet(_: str) -> None:
    pass


@needs_gcc
def test_the_payload_is_built_once(cache: Path) -> None:
    progress: list[str] = []
    first = build_payload(progress.append)
    again = build_payload(progress.append)
    assert first == again
    assert progress == ["compiling the payload"]
    assert [path.name for path in cache.iterdir()] == [first.parent.name]


@needs_gcc
def test_the_payload_reports_its_first_instruction_and_refuses_unknown_roles() -> None:
    payload = build_payload(quiet)
    output = subprocess.run([payload, "hello"], capture_output=True, text=True, check=True).stdout
    word, ns = output.split()
    assert word == "first-instruction"
    assert int(ns) > 0
    bad = subprocess.run([payload, "fly"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "no such role: fly" in bad.stderr


def test_a_missing_compiler_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="gcc is missing: apt-get install gcc"):
        build_payload(quiet)


@needs_gcc
def test_the_payload_works_and_makes_noise_by_itself(tmp_path: Path) -> None:
    payload = build_payload(quiet)

    def output(*words: str) -> list[str]:
        result = subprocess.run([payload, *words], capture_output=True, text=True, check=True)
        return result.stdout.split()

    boot, release, count = output("look")
    assert (boot, release) == (
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.uname().release,
    )  # fmt: skip
    assert int(count) > 0
    assert output("compute", "1000", "2") == []
    assert 0 < float(output("burn", "1", "1")[0]) <= 1.5  # the last step may begin before the end
    assert output("seen", "no-such-argument-anywhere") == ["0"]
    assert output("noise", "sleep", "2", "73511") == []
    assert output("seen", "73511") == ["2"]
    for pid in processes_with(b"\0noise\0sleep\x002\x0073511\0"):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes_with(b"\0noise\0sleep\x002\x0073511\0") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert output("seen", "73511") == ["0"]


@needs_gcc
@pytest.mark.parametrize(
    ("limit", "stdin", "subject"),
    [
        ("--nofile=6", b"", "the streams of a command: Too many open files"),
        ("--nofile=6", b"abc", "the streams of a command: Too many open files"),
        ("--nproc=0", b"", "fork: Resource temporarily unavailable"),
    ],
)
def test_a_command_that_cannot_be_started_is_answered(
    limit: str, stdin: bytes, subject: str
) -> None:
    """The payload is process 1 of a machine: if it ended, so would the machine."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        payload = shutil.copy(build_payload(quiet), folder)
        Path(payload).chmod(0o755)  # whatever the umask was when it was built
        with subprocess.Popen(
            ["prlimit", limit, payload, "serve", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=NOBODY if os.geteuid() == 0 else None,  # root has no limit of processes
        ) as serving:
            assert serving.stdin
            assert serving.stdout
            assert b"first-instruction" in serving.stdout.readline()
            assert b"listening" in serving.stdout.readline()
            for _ in range(2):
                serving.stdin.write(payload_protocol.encode_request(["cat"], stdin))
                serving.stdin.flush()
                refused = payload_protocol.read_reply(serving.stdout.read)
                assert refused.stderr == f"payload: {subject}\n".encode()
                assert refused.exit_code == 126
            serving.stdin.close()
            assert serving.wait(PATIENCE_SECONDS) == 0


def processes_with(arguments: bytes) -> list[int]:
    return [pid for pid in processes.all_pids() if arguments in processes.command_line(pid)]

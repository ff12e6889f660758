"""The payload beside a real command: when it is ready, how it fails, and what its end leaves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from lab.errors import StartFailed, TargetFailed
from lab.host import processes
from lab.targets import image_readiness
from lab.targets.payload_pipes import PayloadPipes, PipeInstance
from lab.userland.application import Application, Readiness
from lab.userland.payload import build_payload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")

SETTINGS = ("=PATH=/usr/bin:/bin", "umask=22")
# Commands that no other process of the host has, not even another run of the tests.
FIRST, SECOND = (f"sleep {number}{os.getpid():07}" for number in (1, 2))
BY_PROGRAM = Readiness("first instruction")


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONNAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield build_payload(lambda _: None)


class Process(PipeInstance):
    """The payload and its command as plain processes."""

    process: subprocess.Popen[bytes]

    def payload_pid(self) -> int:
        return self.process.pid

    def pids(self) -> list[int]:
        return [self.process.pid]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.pipes.close()


@contextmanager
def started(
    payload: Path,
    command: list[str],
    readiness: Readiness,
    settings: tuple[str, ...] = SETTINGS,
    seconds: float = 10.0,
) -> Iterator[Process]:
    application = Application("app:1", "sha256:0", settings, tuple(command), readiness, seconds)
    pipes = PayloadPipes()
    instance = Process("app", time.monotonic_ns(), pipes, 10.0, application)
    instance.process = subprocess.Popen(
        [payload, "serve", "app", *application.start_words()],
        stdin=pipes.stdin,
        stdout=pipes.stdout,
        stderr=subprocess.DEVNULL,
    )
    pipes.hand_over()
    with instance:
        try:
            yield instance
        finally:
            # The payload is no process 1 here, so its command must be ended before it.
            instance.process.send_signal(signal.SIGSTOP)
            for pid in children(instance.process.pid):
                os.killpg(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    found = []
    for each in processes.all_pids():
        with suppress(OSError):
            if processes.parent(each) == pid:
                found.append(each)
    return found


def running(command: str) -> bool:
    line = command.replace(" ", "\0").encode()
    return any(processes.command_line(pid).rstrip(b"\0") == line for pid in processes.all_pids())


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_it_is_ready_when_its_program_is_executed(payload: Path) -> None:
    with started(payload, ["sleep", "60"], BY_PROGRAM) as instance:
        first = instance.reached("first-instruction")
        ready = instance.reached("ready")
        assert first is not None
        assert ready is not None
        assert instance.t0_ns < first < ready < time.monotonic_ns()
        assert instance.reached("ready") == ready
        assert instance.reached("userspace") is None
        assert instance.ask() > ready
        assert image_readiness.ends_within(instance, 0.05) is None


def test_a_command_that_ends_is_ready_by_its_end(payload: Path) -> None:
    with started(payload, ["sleep", "0.2"], Readiness("exit")) as instance:
        ready = instance.reached("ready")
        assert ready is not None
        assert ready - instance.t0_ns > 200_000_000
        assert image_readiness.ends_within(instance, 0.05) == 0


def test_a_command_that_fails_is_named_with_its_exit_code(payload: Path) -> None:
    with (
        started(payload, ["sh", "-c", "exit 3"], Readiness("exit")) as instance,
        pytest.raises(StartFailed, match="command in app ended with exit code 3"),
    ):
        instance.reached("ready")
    with (
        started(payload, ["sh", "-c", "kill -9 $$"], Readiness("port", port=1)) as instance,
        pytest.raises(StartFailed, match="ended with exit code 137 before TCP port 1 answers"),
    ):
        instance.reached("ready")


def test_a_command_that_does_not_end_in_time_fails(payload: Path) -> None:
    with (
        started(payload, ["sleep", "60"], Readiness("exit"), seconds=0.3) as instance,
        pytest.raises(StartFailed, match=r"did not end within 0\.3 s"),
    ):
        instance.reached("ready")


def test_a_program_that_is_not_there_fails_the_start(payload: Path) -> None:
    with (
        started(payload, ["/nonexistent"], BY_PROGRAM) as instance,
        pytest.raises(StartFailed, match="ended before it reached"),
    ):
        instance.reached("ready")


def test_a_port_that_answers_shows_that_it_is_ready(payload: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with started(payload, command, Readiness("port", port=port)) as instance:
        assert instance.reached("ready")
        assert instance.ask()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_a_port_that_never_answers_fails_the_start(payload: Path) -> None:
    readiness = Readiness("port", port=free_port())
    sentence = rf"app was not ready within 0\.5 s \(TCP port {readiness.port} answers\)"
    with started(payload, ["sleep", "60"], readiness, seconds=0.5) as instance:
        with pytest.raises(StartFailed, match=sentence):
            instance.reached("ready")
        with pytest.raises(TargetFailed, match="app did not answer"):
            instance.ask()


def test_the_first_health_check_that_succeeds_counts(payload: Path, tmp_path: Path) -> None:
    mark = tmp_path / "healthy"
    check = Readiness(
        "health check", check=("test", "-e", str(mark)), check_seconds=5, unhealthy_seconds=10
    )
    command = ["sh", "-c", f"sleep 0.3; : >{mark}; exec sleep 60"]
    with started(payload, command, check) as instance:
        ready = instance.reached("ready")
        assert ready is not None
        assert ready - instance.t0_ns > 300_000_000
        assert instance.ask() > ready
        mark.unlink()
        with pytest.raises(TargetFailed, match="did not answer"):
            instance.ask()


def test_a_health_check_that_fails_says_what_it_printed(payload: Path) -> None:
    check = Readiness(
        "health check", check=("sh", "-c", "echo no table; exit 1"), check_seconds=5,
        unhealthy_seconds=0.4,
    )  # fmt: skip
    with (
        started(payload, ["sleep", "60"], check) as instance,
        pytest.raises(StartFailed, match=r"not ready within 0\.4 s .* The last check printed: no"),
    ):
        instance.reached("ready")


def test_a_health_check_that_hangs_ends_with_all_its_processes(payload: Path) -> None:
    check = Readiness(
        "health check", check=("sh", "-c", f"{FIRST} & {FIRST}"), check_seconds=0.2,
        unhealthy_seconds=0.5,
    )  # fmt: skip
    with started(payload, ["sleep", "60"], check) as instance:
        begin = time.monotonic()
        with pytest.raises(StartFailed, match="not ready within"):
            instance.reached("ready")
        assert time.monotonic() - begin < 5
        assert not running(FIRST)
        assert image_readiness.ends_within(instance, 0) is None  # the command still runs


def test_variables_named_like_settings_are_variables(payload: Path, tmp_path: Path) -> None:
    settings = (*SETTINGS, "=user=x", "=timeout=1", "=directory=/none", f"workdir={tmp_path}/a/b")
    command = ["sh", "-c", 'test "$user$timeout$directory" = x1/none && pwd >where']
    with started(payload, command, Readiness("exit"), settings) as instance:
        assert instance.reached("ready")
    assert (tmp_path / "a/b/where").read_text() == f"{tmp_path}/a/b\n"


def test_commands_of_the_lab_leave_the_application_alone(payload: Path) -> None:
    if os.geteuid() != 0 and os.getpriority(os.PRIO_PROCESS, 0) > 0:
        pytest.skip("commands run at niceness 0, which a user that has more can't get back")
    with started(payload, ["sleep", "60"], BY_PROGRAM) as instance:
        assert instance.run(["sh", "-c", f"{SECOND} & echo done"], 10).stdout == b"done\n"
        assert not running(SECOND)
        assert image_readiness.ends_within(instance, 0) is None

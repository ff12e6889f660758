"""Containers as services of systemd, with socket activation and notifications.

(sd_listen_fds(3), sd_notify(3); runc and crun both do this)
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.oci.driver import Bundle

OURS = "tonnage-oci"
SAYS_SO = "systemd-notify --status=warming; sleep 0.3; systemd-notify --ready MAINPID=77; "


class Systemd:
    """A receiver of notifications, like systemd; `lines` are those received, without barriers."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._thread = threading.Thread(target=self._listen)
        self._heard: list[str] = []
        self._thread.start()

    def lines(self) -> list[str]:
        self._end.shutdown(socket.SHUT_RD)  # messages in the queue can still be read
        self._thread.join()
        return [line for line in self._heard if not line.startswith("BARRIER")]

    def _listen(self) -> None:
        while output := self._end.recv(65536):
            self._heard += output.decode().splitlines()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "systemd"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "systemd"))
        listening = Systemd(end)
        yield listening
        listening.lines()


def test_start_waits_until_a_service_is_ready(bundle: Bundle, systemd: Systemd) -> None:
    bundle.shell(SAYS_SO + "sleep 60")
    bundle.created()
    result = bundle.start()
    assert result, result.stderr
    lines = systemd.lines()
    assert "READY=1" in lines
    assert lines[-1] == f"MAINPID={bundle.state()['pid']}"
    assert "MAINPID=77" not in lines, "the pid is of the container's namespace"
    assert bundle.state()["status"] == "running"


def test_a_service_that_ends_is_not_waited_for(bundle: Bundle, systemd: Systemd) -> None:
    bundle.shell("exit 3")
    bundle.created()
    assert bundle.start()
    assert "READY=1" not in systemd.lines()


def test_run_in_the_background_waits_too(bundle: Bundle, systemd: Systemd) -> None:
    bundle.shell(SAYS_SO + "sleep 60")
    result = bundle.run("--detach")
    assert result, result.stderr
    lines = systemd.lines()
    assert "READY=1" in lines
    assert lines[-1] == f"MAINPID={bundle.state()['pid']}"


def test_run_in_the_foreground_passes_on_what_is_said(bundle: Bundle, systemd: Systemd) -> None:
    if bundle.runtime.apart:
        pytest.skip("only run stays in the foreground")
    bundle.shell(SAYS_SO + "systemd-notify STOPPING=1; exit 5")
    assert bundle.run().exit_code == 5
    lines = systemd.lines()
    assert "READY=1" in lines
    if str(bundle.runtime) == OURS:  # other runtimes forward nothing else
        assert lines == ["STATUS=warming", "READY=1", "STOPPING=1"]
    assert not bundle.state()


def test_a_service_may_be_anybody(bundle: Bundle, systemd: Systemd) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.shell("systemd-notify --ready; sleep 60")
    assert bundle.run("--detach")
    assert "READY=1" in systemd.lines()


def test_nobody_who_listens_is_no_error(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    bundle.shell("systemd-notify --ready; sleep 60")
    assert bundle.run("--detach")
    assert bundle.state()["status"] == "running"


def test_sockets_are_handed_on(bundle: Bundle, tmp_path: Path) -> None:
    bundle.shell('echo "$LISTEN_FDS $LISTEN_PID"; readlink /proc/self/fd/3')
    bundle.write()
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(str(tmp_path / "s"))
        listens.listen()
        taken = listens.fileno()
        script = f'exec 3<&{taken} {taken}<&-; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        result = subprocess.run(
            ["/bin/bash", "-c", script, "bash", bundle.runtime.command, "--root",
             str(bundle.runtime.root), "run", "--bundle", str(bundle.path), bundle.identity],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=(taken,),
            check=False,
        )  # fmt: skip
        inode = os.fstat(taken).st_ino
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["1 1", f"socket:[{inode}]"]

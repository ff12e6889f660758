"""Options of runc's and crun's command lines other than the bundle and the id."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import CGROUPS, PYTHON, cgroups_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oci.driver import Bundle

SECONDS = 20.0
KEYRING = (
    # Keyctl(2) of x86-64 returns its id.
    "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
)


def failed(bundle: Bundle, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that fails, for want of a container."""
    return subprocess.run(
        [bundle.runtime.command, "--root", str(bundle.runtime.root), *words, "start", "nobody"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_log_in_json_tells_what_failed(bundle: Bundle, tmp_path: Path) -> None:
    result = failed(bundle, "--log", str(tmp_path / "log"), "--log-format", "json")
    assert result.returncode != 0
    (line,) = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert line["level"] == "error"
    assert line["msg"]
    assert line["time"].startswith("20")


def test_a_log_in_text_tells_what_failed(bundle: Bundle, tmp_path: Path) -> None:
    assert failed(bundle, "--log", str(tmp_path / "log")).returncode != 0
    text = (tmp_path / "log").read_text()
    assert "error" in text
    assert not text.startswith("{")


def test_debug_does_not_change_what_is_done(bundle: Bundle) -> None:
    assert failed(bundle, "--debug").returncode != 0
    bundle.shell("exit 3")
    bundle.write()
    words = ("--debug", "run", "--bundle", str(bundle.path), bundle.identity)
    assert bundle.runtime.run(*words, into=bundle.path) == 3


def test_short_options_and_another_configuration(bundle: Bundle, tmp_path: Path) -> None:
    bundle.shell("sleep 60")
    bundle.write()
    (bundle.path / "config.json").rename(bundle.path / "other.json")
    words = ("run", "-d", "-b", str(bundle.path))
    if bundle.runtime.command.endswith("runc"):
        pytest.skip("runc has no --config")
    result = bundle.runtime.run(*words, "-f", "other.json", bundle.identity, into=bundle.path)
    assert result == 0, bundle.errors()
    assert bundle.state()["status"] == "running"


def test_what_is_to_be_kept_is_there_once_it_has_ended(bundle: Bundle) -> None:
    bundle.shell("exit 4")
    assert bundle.run("--keep").exit_code == 4
    assert bundle.state()["status"] == "stopped"
    assert bundle.delete()


def test_without_pivot_root_the_root_is_the_container_s(bundle: Bundle) -> None:
    bundle.shell("ls /inside.py; ls /..; cat /proc/self/mountinfo")
    result = bundle.run("--no-pivot")
    assert result, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "/inside.py"
    assert "inside.py" in lines[1:]
    assert not [line for line in lines if str(bundle.path) in line.split(" - ")[0]]


def test_without_a_new_keyring_the_session_s_is_shared(bundle: Bundle) -> None:
    bundle.process["args"] = [*PYTHON[:3], "-c", KEYRING]
    here = subprocess.run(
        ["python3", "-c", KEYRING], capture_output=True, text=True, check=True
    ).stdout.strip()
    result = bundle.run("--no-new-keyring")
    assert result, result.stderr
    assert result.stdout.strip() == here
    assert bundle.run().stdout.strip() != here


def received(listening: socket.socket) -> int:
    """Return the descriptor that was sent to the socket."""
    connection, _ = listening.accept()
    with connection:
        _, (descriptor,), _, _ = socket.recv_fds(connection, 100, 1)
    return descriptor


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_a_descriptor_of_the_process_is_sent(bundle: Bundle, tmp_path: Path, verb: str) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        bundle.shell("sleep 60")
        words: tuple[str, ...]
        if verb == "exec":
            bundle.running()
            words = ("--pidfd-socket", path, "--detach", "--pid-file", f"{tmp_path}/pid")
            command = ("exec", *words, bundle.identity, "sleep", "60")
            assert bundle.runtime.run(*command, into=bundle.path) == 0, bundle.errors()
            pid = int((tmp_path / "pid").read_text())
        else:
            words = ("--pidfd-socket", path, *(["--detach"] if verb == "run" else []))
            result = bundle.create(*words) if verb == "create" else bundle.run(*words)
            assert result, result.stderr
            pid = bundle.state()["pid"]
        pidfd = received(listening)
    lines = (line.split(":") for line in _read(f"/proc/self/fdinfo/{pidfd}").splitlines())
    assert int(dict(lines)["Pid"]) == pid
    bundle.delete("--force")
    assert select.select([pidfd], [], [], SECONDS)[0] == [pidfd]
    os.close(pidfd)


def test_nobody_to_send_it_to_makes_nothing(bundle: Bundle, tmp_path: Path) -> None:
    result = bundle.create("--pidfd-socket", str(tmp_path / "nobody"))
    assert not result
    assert bundle.runtime.left(bundle.identity) == []


def test_exec_adds_groups_to_those_of_the_container(bundle: Bundle) -> None:
    bundle.process["user"]["additionalGids"] = [5, 6]
    bundle.running()
    result = bundle.exec("--additional-gids", "9,6", bundle.identity, "id", "-G")
    assert result, result.stderr
    assert set(result.stdout.split()) == {"0", "5", "6", "9"}
    assert set(bundle.exec(bundle.identity, "id", "-G").stdout.split()) == {"0", "5", "6"}


def test_exec_gives_groups_and_forbids_new_privileges(bundle: Bundle) -> None:
    bundle.running()
    words = ("--user", "7:8", "--additional-gids", "9", "--additional-gids", "10", "--no-new-privs")
    result = bundle.exec(
        *words, bundle.identity, "sh", "-c", "id -u; id -G; grep NoNewPrivs /proc/self/status"
    )
    assert result, result.stderr
    uid, groups, forbidden = result.stdout.splitlines()
    assert uid == "7"
    assert set(groups.split()) == {"8", "9", "10"}
    assert forbidden.split() == ["NoNewPrivs:", "1"]


def test_exec_in_a_paused_container_only_if_asked_for(bundle: Bundle) -> None:
    bundle.running()
    assert bundle.runtime.tell("pause", bundle.identity)
    assert not bundle.exec(bundle.identity, "true")
    words = (bundle.runtime.command, "--root", str(bundle.runtime.root), "exec", "--ignore-paused")
    with subprocess.Popen([*words, bundle.identity, "sh", "-c", "exit 3"]) as waiting:
        time.sleep(0.3)
        assert waiting.poll() is None, "it must wait until the container is resumed"
        assert bundle.runtime.tell("resume", bundle.identity)
        assert waiting.wait(SECONDS) == 3


def test_exec_into_a_sub_cgroup(bundle: Bundle) -> None:
    bundle.running()
    below = [path / "sub" for path in cgroups_of(bundle.identity)]
    for path in below:
        path.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (path / name).exists():
                (path / name).write_text((path.parent / name).read_text())
    result = bundle.exec("--cgroup", "sub", bundle.identity, "cat", "/proc/self/cgroup")
    assert result, result.stderr
    lines = result.stdout.split()
    assert lines
    assert all(line.endswith("/sub") for line in lines if bundle.identity in line)
    assert any(bundle.identity in line for line in lines)
    if (CGROUPS / "pids").is_dir():
        result = bundle.exec("--cgroup", "pids:sub", bundle.identity, "cat", "/proc/self/cgroup")
        assert [line.split(":")[1] for line in result.stdout.split() if line.endswith("/sub")] == [
            "pids"
        ]
    for bad in ("nowhere", "..", "nothing:sub"):
        refused = bundle.exec("--cgroup", bad, bundle.identity, "true")
        assert not refused
        assert "Traceback" not in refused.stderr


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:  # noqa: PTH123
        return file.read()

"""Container targets by other tools, as far as they can be tested without root and the tools."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import targets
from lab.host import processes
from lab.targets import leftovers
from lab.targets.containers import docker
from lab.targets.programs import last_words
from tests.lab.programs import program

ENDED_PID = 1 << 22  # above every pid_max


@pytest.mark.parametrize(
    ("name", "package"),
    [("crun", "crun"), ("runc", "runc"), ("podman", "podman"), ("docker", "docker.io")],
)
def test_an_absent_tool_is_named_with_its_package(name: str, package: str, path: Path) -> None:
    cls = targets.find(name)
    assert cls.absent() == f"{name} is not installed: apt-get install {package}"


@pytest.mark.parametrize("name", ["crun", "runc", "podman"])
def test_an_installed_tool_is_absent_only_without_root(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, name)
    assert targets.find(name).absent() == ""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert targets.find(name).absent() == "it needs root"


def test_a_docker_client_alone_is_not_enough(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(docker, "_DEFAULT_HOST", f"unix://{tmp_path}/no.sock")
    program(path, "docker")
    assert "dockerd is not installed: apt-get install docker.io" in docker.Docker.absent()
    program(path, "dockerd")
    assert docker.Docker.absent() == ""


def test_the_daemon_that_docker_host_names_is_taken_only_if_it_answers(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(path, "docker")
    program(path, "dockerd")
    address = tmp_path / "d.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{address}")
    assert f"no docker daemon answers at unix://{address}" in docker.Docker.absent()
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(address))
        daemon.listen()
        assert docker.Docker.absent() == ""


def test_a_docker_daemon_elsewhere_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "docker")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "is not on this host: unset DOCKER_HOST" in docker.Docker.absent()


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (b"", ""),
        (b"2026-11-24T10:00:00Z: cgroups in hybrid mode not supported\n",
         "2026-11-24T10:00:00Z: cgroups in hybrid mode not supported"),
        (b'time="2026-11-24T10:00:00Z" level=warning msg="old"\n'
         b'time="2026-11-24T10:00:00Z" level=error msg="runc run failed: exec \\"x\\": gone"\n',
         'runc run failed: exec "x": gone'),
        (b"docker: Error response from daemon: No such image: x.\nSee 'docker run --help'.\n",
         "docker: Error response from daemon: No such image: x."),
        (b"unknown flag: --x\n\nUsage:  docker run IMAGE\n\nRun 'docker run --help' for more\n",
         "unknown flag: --x"),
        (b"docker: Error response from daemon: no\n\n"
         b"Run 'docker run --help' for more information\n",
         "docker: Error response from daemon: no"),
    ],
)  # fmt: skip
def test_the_last_words_are_the_reason(stderr: bytes, words: str) -> None:
    assert last_words(stderr) == words


def test_a_new_process_is_among_the_pids_after() -> None:
    last = processes.last_pid()
    argv = [sys.executable, "-c", "print(flush=True); input()", "tonnage"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # before exec has finished, a process has no arguments
        assert child.pid in processes.pids_after(last)
        assert processes.command_line(child.pid) == "\0".join([*argv, ""]).encode()
        assert processes.parent(child.pid) == os.getpid()
        with processes.handle_of(child.pid) as handle:
            assert not processes.ended(handle, 0)
            child.communicate()
            assert processes.ended(handle, 0)
    assert processes.command_line(child.pid) == b""


def test_pids_that_wrapped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    monkeypatch.setattr(processes, "last_pid", lambda: 302)
    assert list(processes.pids_after(most - 2)) == [most - 1, 300, 301, 302]


def test_what_a_living_worker_holds_is_not_left_over() -> None:
    assert leftovers.is_left_by_dead(f"tonnage-crun-{ENDED_PID}-7")
    assert leftovers.is_left_by_dead(f"tonnage-docker-{os.getpid()}")  # a reused pid
    assert not leftovers.is_left_by_dead("tonnage-of-somebody-else")
    argv = [sys.executable, "-c", "print(flush=True); input()", "lab.targets.worker"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        assert not leftovers.is_left_by_dead(f"tonnage-crun-{worker.pid}-7")
        worker.communicate()


def test_clean_removes_the_folders_of_the_dead_alone(tmp_path: Path) -> None:
    left = tmp_path / f"tonnage-zeppelin-{ENDED_PID}"
    (left / "i" / f"{left.name}-0").mkdir(parents=True)
    other = tmp_path / f"tonnage-balloon-{ENDED_PID}"
    other.mkdir()
    assert leftovers.clean("zeppelin", tmp_path) == [f"removed {left}"]
    assert list(tmp_path.iterdir()) == [other]

"""The docker target: which daemon it uses, and why it is absent."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lab.targets.containers import docker
from tests.lab.programs import program


def test_a_docker_client_alone_is_not_enough(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(docker, "_DEFAULT_HOST", f"unix://{tmp_path}/no.sock")
    program(path, "docker")
    assert "dockerd is not installed: apt-get install docker.io" in docker.Docker.absent()
    program(path, "dockerd")
    assert docker.Docker.absent() == ""


def test_the_daemon_at_docker_host_is_used_only_if_it_answers(
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

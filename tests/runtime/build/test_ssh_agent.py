"""A forwarded agent: bytes pass in both directions, with the socket's own owner and mode."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from runtime.build.ssh_agent import agent_of, forwarded
from runtime.errors import InvalidConfig
from tests.accounts import has_an_account

if TYPE_CHECKING:
    from pathlib import Path


def answer_once(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client:
        client.sendall(b"to " + client.recv(100))


def test_bytes_pass_in_both_directions(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 40)  # longer than a socket's name may be
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent"))
        listener.listen()
        thread = threading.Thread(target=answer_once, args=(listener,))
        thread.start()
        uid, gid = os.geteuid(), os.getegid()
        with forwarded(tmp_path / "agent", directory / "own", 0o620, uid, gid):
            assert stat.S_IMODE((directory / "own").stat().st_mode) == 0o620
            (tmp_path / "short").symlink_to(directory)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "short/own"))
                client.sendall(b"you")
                assert client.recv(100) == b"to you"
                assert client.recv(100) == b""
        thread.join()


def test_no_connection_is_taken_after_the_block(tmp_path: Path) -> None:
    own = tmp_path / "own"
    with (
        forwarded(tmp_path / "none", own, 0o600, os.geteuid(), os.getegid()),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(own))
        assert client.recv(100) == b""  # there is no agent
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(own))


def test_a_path_that_is_neither(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidConfig, match="neither an agent's socket nor a key"),
        agent_of([tmp_path / "none"], tmp_path),
    ):
        pytest.fail("the block was entered")


def test_a_socket_is_used_as_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent"))
        with agent_of([tmp_path / "agent"], tmp_path) as found:
            assert found == tmp_path / "agent"


def test_keys_get_an_agent_of_their_own(tmp_path: Path) -> None:
    if not has_an_account():
        pytest.skip("ssh-keygen refuses users without an account")
    for program in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install openssh-client")
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, capture_output=True
    )
    with agent_of([key], tmp_path) as found, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(found))
        client.sendall(b"\0\0\0\1\x0b")  # SSH_AGENTC_REQUEST_IDENTITIES
        answer = client.recv(1000)
        assert (answer[4], answer[5:9]) == (12, b"\0\0\0\1")  # SSH_AGENT_IDENTITIES_ANSWER, one
    key.write_text("no key")
    with pytest.raises(InvalidConfig, match="the keys can't be used"), agent_of([key], tmp_path):
        pytest.fail("the block was entered")

"""RUN --mount=type=ssh: a socket in the container that leads to an ssh agent of the host.

The agent's own socket belongs to its user, and the agent answers that user alone. So the container
gets a socket of its own, with the owner and the mode that the instruction asks for, and this
process forwards the bytes. (docker, "Dockerfile reference", "RUN --mount=type=ssh")
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from runtime.errors import InvalidConfig, Unavailable

_PIECE_BYTES = 1 << 16


@contextmanager
def forwarded(agent: Path, path: Path, mode: int, uid: int, gid: int) -> Iterator[None]:
    """Listen at `path` within the block, and forward each connection to the agent."""
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, path)
        path.chmod(mode)
        os.chown(path, uid, gid)
        listener.listen()
        thread = Thread(target=_accept, args=(listener, agent), daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def agent_of(paths: Sequence[Path], directory: Path) -> Iterator[Path]:
    """Yield the socket of an agent: the only path, or that of a new agent with these keys.

    Raise InvalidConfig for a path that is neither, Unavailable if ssh-agent is missing.
    """
    for path in paths:
        if not path.exists():
            raise InvalidConfig(f"--ssh: {path} is neither an agent's socket nor a key.")
    if len(paths) == 1 and stat.S_ISSOCK(paths[0].stat().st_mode):
        yield paths[0]
        return
    if not shutil.which("ssh-agent"):
        raise Unavailable("ssh-agent is not installed, which holds the keys of --ssh.")
    own = directory / "agent"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(own)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout
            process.stdout.readline()  # it prints its variables once it listens
            added = subprocess.run(
                ["ssh-add", "-q", *map(str, paths)], capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, env={**os.environ, "SSH_AUTH_SOCK": str(own)},
            )  # fmt: skip
            if added.returncode != 0:
                words = added.stderr.strip() or "ssh-add refuses them"
                raise InvalidConfig(f"--ssh: the keys can't be used: {words}.")
            yield own
        finally:
            process.terminate()


def _bind(listener: socket.socket, path: Path) -> None:
    """Bind a socket to a path of any length, by a short name of its directory. (unix(7))"""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{path.name}")
    finally:
        os.close(descriptor)


def _accept(listener: socket.socket, agent: Path) -> None:
    """Forward connections until the listener is shut down."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        Thread(target=_forward, args=(client, agent), daemon=True).start()


def _forward(client: socket.socket, agent: Path) -> None:
    """Copy bytes in both directions until either side closes."""
    with (
        client,
        socket.socket(socket.AF_UNIX) as upstream,
        selectors.DefaultSelector() as both,
        suppress(OSError),
    ):
        upstream.connect(str(agent))
        both.register(client, selectors.EVENT_READ, upstream)
        both.register(upstream, selectors.EVENT_READ, client)
        while True:
            for key, _ in both.select():
                assert isinstance(key.fileobj, socket.socket)
                piece = key.fileobj.recv(_PIECE_BYTES)
                if not piece:
                    return
                key.data.sendall(piece)

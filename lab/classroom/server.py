"""JupyterLab for a class: a server for each student, on loopback, with a token and a folder.

A server sees its student's folder only, though all run as the same user of the host: students who
should not read each other's files need hosts or users of their own. Its configuration, its token
among it, is in a private temporary folder, so that no command line shows it, and a home directory
that can't be written is no obstacle.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.classroom import jupyter_process, students
from lab.errors import InvalidConfig, LabError, Unavailable
from lab.host.private_folder import private_folder
from lab.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOOPBACK = "127.0.0.1"
PREFIX = "tonnage-class-"  # of the folders that `tonnage clean` looks at
FIRST_PORT = 8888
MOST_STUDENTS = 40
READY_SECONDS = 90.0
_END_SECONDS = 15.0
_POLL_SECONDS = 0.1
_LAST_PORT = 65_535
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COMMAND = (sys.executable, "-m", "lab.classroom.jupyter_process")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of one student."""

    student: str
    folder: Path
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """Return the last line of the server's log."""
        lines = []
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else "it said nothing"

    def ended(self) -> str:
        """Return in words that the server has ended, without the full stop."""
        return (
            f"JupyterLab of {self.student} ended with code {self.process.returncode}:"
            f" {self.last_words()}"
        )


def checked_address(address: str, *, reachable: bool) -> str:
    """Return the IP address to listen on. Raise InvalidConfig.

    An address that other hosts reach is refused unless `reachable` is true.
    """
    try:
        parsed = ipaddress.ip_address(LOOPBACK if address == "localhost" else address)
    except ValueError:
        raise InvalidConfig(f"{address!r} is not an IP address: write 127.0.0.1.") from None
    if not parsed.is_loopback and not reachable:
        raise InvalidConfig(
            f"{address} can be reached from other hosts, over plain HTTP: whoever gets a token runs"
            " commands here. Add --reachable-from-network if that is meant."
        )
    return str(parsed)


def ports(address: str, first: int, count: int) -> list[int]:
    """Return free ports: `count` from the first one on, or any free ones for 0.

    Raise Unavailable if one is in use, InvalidConfig if there are not so many.
    """
    if first and first + count - 1 > _LAST_PORT:
        raise InvalidConfig(f"Ports from {first} on are too few for {count} students.")
    chosen = []
    with ExitStack() as stack:
        _bound(stack, LOOPBACK, 0)  # kernels listen there, wherever their server does
        for number in range(count):
            chosen.append(_bound(stack, address, first + number if first else 0))
    return chosen


def _bound(stack: ExitStack, address: str, port: int) -> int:
    """Bind a socket to a port until the stack ends; return the port. Raise Unavailable."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        probe = stack.enter_context(socket.socket(family))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise Unavailable(
                f"This host has no address {address}: see `ip address`. Kernels need {LOOPBACK}."
            ) from error
        raise Unavailable(
            f"Port {port} of {address} can't be used: {error.strerror}. Choose another --port, or"
            " 0 for any free one."
        ) from error
    return int(probe.getsockname()[1])


@contextmanager
def serving(
    folders: Mapping[str, Path],
    address: str,
    chosen: Sequence[int],
    environment: Mapping[str, str],
) -> Iterator[list[Server]]:
    """Run a server for each student's folder during the block, and leave nothing behind.

    Raise Unavailable if its files can't be made, LabError if a server does not start.
    """
    with ExitStack() as stack:
        try:
            running = [
                stack.enter_context(_server(student, folder, address, port, environment))
                for (student, folder), port in zip(folders.items(), chosen, strict=True)
            ]
        except OSError as error:
            raise Unavailable(
                f"Can't start JupyterLab: {error.strerror or error}. Its files are made in"
                f" {tempfile.gettempdir()}; TMPDIR names another directory."
            ) from error
        stack.callback(_end_all, running)
        for server in running:
            _await_ready(server)
        yield running


@contextmanager
def _server(
    student: str, folder: Path, address: str, port: int, environment: Mapping[str, str]
) -> Iterator[Server]:
    token = secrets.token_urlsafe(24)
    with private_folder(PREFIX) as (private, lock):
        _configure(private, folder, address, port, token)
        with (private / "log").open("wb") as log:
            process = subprocess.Popen(
                [*_COMMAND, str(os.getpid()), str(private)],
                cwd=folder,
                env={**_inherited(), **environment, **_environment(private, student)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),  # it may outlive this command for a moment
                start_new_session=True,  # Ctrl-C is this command's, which ends the server in order
            )
        host = f"[{address}]" if ":" in address else address
        try:
            yield Server(
                student, folder, f"http://{host}:{port}/lab?token={token}", process, private / "log"
            )
        finally:
            _end(process)


def _configure(private: Path, folder: Path, address: str, port: int, token: str) -> None:
    """Write the server's configuration, which holds the token, into its private folder."""
    document: dict[str, Any] = {
        "ServerApp": {
            "ip": address,
            "port": port,
            "port_retries": 0,
            "root_dir": str(folder.resolve()),
            "open_browser": False,
            "quit_button": False,  # the command ends the servers
            "allow_root": os.geteuid() == 0,
            "shutdown_no_activity_timeout": 0,
            "jpserver_extensions": {**_extensions(), "jupyterlab": True},
        },
        "IdentityProvider": {"token": token},
        # Without these, JupyterLab asks the network for news and for extensions.
        "LabApp": {"news_url": None, "extension_manager": "readonly"},
    }
    config = private / jupyter_process.CONFIGURATION
    for name in (config / "labconfig", "data", "runtime", "ipython", "settings", "workspaces"):
        (private / name).mkdir(parents=True)
    path = config / "jupyter_server_config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(document), encoding="utf-8")
    # JUPYTERLAB_SETTINGS_DIR holds what a student changes; overrides.json in the environment's own
    # folder is for all its servers. This file changes the defaults of one server.
    defaults = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
    path = config / "labconfig" / "default_setting_overrides.json"
    path.write_text(json.dumps(defaults), encoding="utf-8")


def _extensions() -> dict[str, bool]:
    """Return the server's extensions that the environment's packages enable.

    JupyterLab's pages ask for them. Nothing else of the environment's configuration counts.
    """
    enabled: dict[str, bool] = {}
    for path in sorted(Path(sys.prefix, "etc/jupyter/jupyter_server_config.d").glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            enabled |= dict(json.loads(path.read_bytes())["ServerApp"]["jpserver_extensions"])
    return enabled


def _inherited() -> dict[str, str]:
    """Return the environment without what leads Jupyter to other configuration or folders."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}


def _environment(private: Path, student: str) -> dict[str, str]:
    source = str(CHECKOUT)
    return {
        "JUPYTER_CONFIG_DIR": str(private / jupyter_process.CONFIGURATION),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "IPYTHONDIR": str(private / "ipython"),
        students.VARIABLE: student,
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
    }


def _await_ready(server: Server) -> None:
    """Wait until a server answers with its token, and only with it.

    Raise LabError with its last words.
    """
    url, _, token = server.url.partition("/lab?token=")
    deadline = time.monotonic() + READY_SECONDS
    while _status(url, token) != HTTPStatus.OK:
        if server.process.poll() is not None:
            raise LabError(f"{server.ended()}.")
        if time.monotonic() > deadline:
            raise LabError(
                f"JupyterLab of {server.student} did not answer within {READY_SECONDS:.0f} s:"
                f" {server.last_words()}."
            )
        time.sleep(_POLL_SECONDS)
    if (status := _status(url, "")) != HTTPStatus.FORBIDDEN:
        raise LabError(
            f"JupyterLab of {server.student} answered without a token (HTTP status {status}):"
            " Jupyter's configuration on this host opens it. Remove that from the folders that"
            " `jupyter --paths` lists."
        )


def _status(url: str, token: str) -> int:
    """Return the HTTP status with which a server answers; 0 if it does not."""
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(f"{url}/api/status", headers=headers)
    try:
        with _WITHOUT_PROXY.open(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def _end_all(running: Sequence[Server]) -> None:
    """Ask all servers to end, which takes each a second, before any of them is waited for."""
    for server in running:
        if server.process.poll() is None:
            server.process.terminate()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, which ends its kernels first, or kill it and whatever is in its session."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

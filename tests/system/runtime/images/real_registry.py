"""Debian's docker-registry on loopback: plain, with a password, or with its own authority's TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.images.reference import parse
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository

KINDS = ("plain", "password", "tls")
DEADLINE_SECONDS = 20
# me and `secret`, by bcrypt, which the registry takes alone.
PASSWORDS = "me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
{auth}
"""
AUTH = "auth: {{htpasswd: {{realm: here, path: {directory}/passwords}}}}"
TLS = ", tls: {{certificate: {directory}/certificate.pem, key: {directory}/key.pem}}"


@dataclass(frozen=True)
class Registry:
    """A registry that runs, and how it is reached."""

    host: str
    options: Options

    def repository(self, name: str, *, writable: bool = False) -> Repository:
        """Return a repository of the registry."""
        return Repository(parse(f"{self.host}/{name}"), self.options, writable=writable)


@contextmanager
def running(directory: Path, kind: str = "plain") -> Iterator[Registry]:
    """Run a registry of a kind that keeps its data in a new directory."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed")
    port = free_port()
    directory.mkdir()
    options = Options(timeout_seconds=10)
    auth = tls = ""
    if kind == "password":
        (directory / "passwords").write_text(PASSWORDS)
        auth = AUTH.format(directory=directory)
        options = Options(Credentials("me", "secret"))
    if kind == "tls":
        _certify(directory)
        tls = TLS.format(directory=directory)
        options = Options(authorities=directory / "certificate.pem")
    (directory / "config.yml").write_text(
        CONFIG.format(directory=directory, port=port, auth=auth, tls=tls)
    )
    with subprocess.Popen(
        ["docker-registry", "serve", directory / "config.yml"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            await_port(port)
            yield Registry(f"127.0.0.1:{port}", options)
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def await_port(port: int) -> None:
    """Return once something listens on a port of loopback."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the registry does not listen")


def _certify(directory: Path) -> None:
    """Make a certificate that vouches for itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip

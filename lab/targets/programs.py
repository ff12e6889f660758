"""Programs of other projects: why one is absent, why one failed, its end, a port for it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess

_LOGRUS = re.compile(r'level=(?:error|fatal) msg="((?:[^"\\]|\\.)*)"')


def absent_program(program: str, package: str) -> str:
    """Return why a program that needs root can't be used; empty if it can."""
    if not shutil.which(program):
        return f"{program} is not installed: apt-get install {package}"
    return "" if os.geteuid() == 0 else "it needs root"


def last_words(stderr: bytes) -> str:
    """Return the last line of a program's error output, without usage hints and log decoration."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    errors = [line for line in lines if line and "--help" not in line and line[:6] != "Usage:"]
    if not errors:
        return ""
    if logged := _LOGRUS.search(errors[-1]):
        return logged[1].replace('\\"', '"')
    return errors[-1]


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Terminate a process, and kill it after so many seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of the loopback address that no program listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port

"""Real servers of a class, and what they are made of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.classroom import server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUN = Path(__file__).parents[3] / "results/2026-11-29-vm"
CLASS = [sys.executable, "-m", "lab", "class"]


def command(folder: Path, students: Sequence[str] = ("2026-017",)) -> list[str]:
    """Return the command that serves students at any free ports."""
    named = [word for student in students for word in ("--student", student)]
    return [
        *CLASS, "serve", *named, "--folder", str(folder), "--port", "0", "--run", str(RUN),
        "--format", "json",
    ]  # fmt: skip


@contextmanager
def serving(
    arguments: Sequence[str], **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[Any]]]:
    """Run a command that serves; yield it and its servers, once they are ready."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["servers"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stdout.close() if process.stdout else None


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Serve one student; yield the command and its server."""
    with serving(command(folder), **environment) as (process, (only,)):
        yield process, only


def request(url: str, token: str | None, data: bytes | None = None) -> Any:
    headers = {"Authorization": f"token {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        return json.load(answer)


def below(folder: Path) -> list[int]:
    """Return the processes that work in a folder or below."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink().is_relative_to(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def private_folders(pid: int) -> list[Path]:
    """Return the folders that a command made for its servers."""
    return sorted(Path(tempfile.gettempdir()).glob(f"{server.PREFIX}{pid}-*"))

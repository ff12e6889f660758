"""docs/machines.md, from top to bottom as a newcomer reads it: each block is run, in order.

`sh` blocks are run by a shell, `console` blocks typed at the console that the block before has
joined, `python` blocks by this Python. What is not of this host is put in its place: the address of
a libvirt, a cloud image, an installer.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms.connection import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not shutil.which("libvirtd"),
        reason="libvirtd is not installed: apt-get install libvirt-daemon",
    ),
    pytest.mark.skipif(
        not shutil.which("ssh-keygen"),
        reason="ssh-keygen is not installed: apt-get install openssh-client",
    ),
]
PAGE = Path(__file__).parents[3] / "docs/machines.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JOINS = re.compile(r"^tonnage vm (run debian|console) .*$", re.MULTILINE)
PROMPT, LEAVE = b"# ", b"\x1d"
BLOCK_SECONDS = 240.0
# A cloud image that is none can't boot: its machine is described, and nobody is there to log in to.
DESCRIBED = re.compile(r"^(tonnage vm run noble .*)$", re.MULTILINE)
NOBODY = "There is no machine first here"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is read: a working directory, and what stands for what is elsewhere."""

    work: Path
    environment: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)

    def own(self, text: str) -> str:
        for word, ours in self.words.items():
            text = text.replace(word, ours)
        return text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A state of its own at a short path, for the sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path, served(tmp_path) as url:
        (tmp_path / "srv").mkdir()
        (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
        (tmp_path / "installer.iso").write_bytes(bytes(1 << 20))
        noble = tmp_path / "noble.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", noble, "8M"], check=True)
        environment = {
            **os.environ,
            "TONNAGE_STATE": path,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        environment.pop("LIBVIRT_DEFAULT_URI", None)
        with daemon.running(Path(path) / "d") as uri:
            yield Place(
                tmp_path,
                environment,
                {
                    "qemu:///system": f"'{uri}'",
                    "/srv:srv": f"{tmp_path}/srv:srv",
                    "8080:80": f"{free_port()}:80",
                    "2222:22": f"{free_port()}:22",
                    "https://cloud.example": url,
                    "sha256:…": f"sha256:{hashlib.sha256(noble.read_bytes()).hexdigest()}",
                },
            )


@contextmanager
def served(directory: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_the_page_does_what_it_says(place: Place) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert {kind for kind, _ in blocks} == {"sh", "console", "python"}
    said = ""
    exported = ""
    for number, (kind, text) in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
        typed = following[1] if following[0] == "console" else None
        if kind == "sh":
            assert bool(JOINS.search(text)) == (typed is not None), text
            said += shell(place, exported + text, typed)
            exported += "".join(f"{line}\n" for line in text.splitlines() if "export " in line)
        elif kind == "python":
            said += run(place, [sys.executable, "-c", text], text)
    assert (place.work / "srv/from-the-machine").read_text() == "here\n"
    assert (place.work / "back").read_text() == "hello\n"
    assert re.search(r"eth0 +52:54:00:\S+ +ipv4 +10\.0\.2\.15/24 +agent", said)
    assert re.search(r"^web +running", said, re.MULTILINE)
    assert "<memory unit='KiB'>524288</memory>" in said
    assert "web is changed" in said
    assert re.search(r"web was shut down by (acpi|agent)", said)
    assert re.search(r"^noble +20 GiB", said, re.MULTILINE)
    assert "52:54:00:12:34:56" in said
    assert re.search(r"^example runs Linux \d", said, re.MULTILINE)
    images = Path(place.environment["TONNAGE_STATE"]) / "images"
    assert sorted(path.name for path in images.glob("[!.]*")) == ["debian", "noble"]


def shell(place: Place, text: str, typed: str | None) -> str:
    """Run a block, every command of which must do what it is for."""
    if "tonnage vm ssh" in text:
        done = subprocess.run(
            ["sh", "-euc", place.own(text)], cwd=place.work, env=place.environment,
            capture_output=True, text=True, check=False, timeout=BLOCK_SECONDS,
        )  # fmt: skip
        assert NOBODY in done.stderr
        return ""
    script = place.own(DESCRIBED.sub(r"\1 --xml", text))
    argv = ["sh", "-euc", script]
    return run(place, argv, text) if typed is None else joined(place, argv, typed)


def run(place: Place, argv: list[str], text: str) -> str:
    done = subprocess.run(
        argv, cwd=place.work, env=place.environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=BLOCK_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def joined(place: Place, argv: list[str], typed: str) -> str:
    """Type a block at the console, and leave it."""
    with subprocess.Popen(
        argv, cwd=place.work, env=place.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        try:
            process.stdin.write(b"\r")
            process.stdin.flush()
            said = heard(process, PROMPT)
            for number, line in enumerate(typed.splitlines()):
                assert line.startswith("# "), line
                process.stdin.write(f"{line[2:]} && echo is-$((6*7))-{number}\r".encode())
                process.stdin.flush()
                said += heard(process, f"is-42-{number}".encode())
            process.stdin.write(LEAVE)
            process.stdin.flush()
            assert process.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    return said.decode(errors="replace")


def heard(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    assert process.stdout is not None
    said, give_up = b"", time.monotonic() + BLOCK_SECONDS
    while words not in said:
        left = give_up - time.monotonic()
        assert left > 0, said
        if select.select([process.stdout], [], [], left)[0]:
            some = os.read(process.stdout.fileno(), 4096)
            assert some, said
            said += some
    return said

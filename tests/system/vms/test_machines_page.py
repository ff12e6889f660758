"""Every block of docs/machines.md runs, from top to bottom as a newcomer reads the page.

`sh` blocks are run by a shell, `console` blocks are typed at the console that the block before has
opened, and `python` blocks are run by this Python. Names of things outside this host are replaced:
the address of a libvirt, a cloud image, an installer.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.pipes import await_words
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
# The empty file in place of a cloud image can't boot: its machine is only described, so there is no
# machine to log in to.
CLOUD_RUN = re.compile(r"^(tonnage vm run noble .*)$", re.MULTILINE)
NO_MACHINE = "There is no machine first here"


@dataclass(frozen=True, slots=True)
class Place:
    """A working directory, an environment, and replacements for names outside this host."""

    work: Path
    environment: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)

    def replaced(self, text: str) -> str:
        for word, replacement in self.words.items():
            text = text.replace(word, replacement)
        return text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Yield a place with a state directory of its own; its path is short, for the sockets below."""
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


def test_every_block_of_the_page_runs(place: Place) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert {kind for kind, _ in blocks} == {"sh", "console", "python"}
    output = ""
    exported = ""
    for number, (kind, text) in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
        typed = following[1] if following[0] == "console" else None
        if kind == "sh":
            assert bool(JOINS.search(text)) == (typed is not None), text
            output += shell(place, exported + text, typed)
            exported += "".join(f"{line}\n" for line in text.splitlines() if "export " in line)
        elif kind == "python":
            output += run(place, [sys.executable, "-c", text], text)
    assert (place.work / "srv/from-the-machine").read_text() == "here\n"
    assert (place.work / "back").read_text() == "hello\n"
    assert re.search(r"eth0 +52:54:00:\S+ +ipv4 +10\.0\.2\.15/24 +agent", output)
    assert re.search(r"^web +running", output, re.MULTILINE)
    assert "<memory unit='KiB'>524288</memory>" in output
    assert "web is changed" in output
    assert re.search(r"web was shut down by (acpi|agent)", output)
    assert re.search(r"^noble +20 GiB", output, re.MULTILINE)
    assert "52:54:00:12:34:56" in output
    assert re.search(r"^example runs Linux \d", output, re.MULTILINE)
    images = Path(place.environment["TONNAGE_STATE"]) / "images"
    assert sorted(path.name for path in images.glob("[!.]*")) == ["debian", "noble"]


def shell(place: Place, text: str, typed: str | None) -> str:
    """Run a block, whose commands must all succeed, and return its output."""
    if "tonnage vm ssh" in text:
        result = subprocess.run(
            ["sh", "-euc", place.replaced(text)], cwd=place.work, env=place.environment,
            capture_output=True, text=True, check=False, timeout=BLOCK_SECONDS,
        )  # fmt: skip
        assert NO_MACHINE in result.stderr
        return ""
    script = place.replaced(CLOUD_RUN.sub(r"\1 --xml", text))
    argv = ["sh", "-euc", script]
    return run(place, argv, text) if typed is None else typed_at_console(place, argv, typed)


def run(place: Place, argv: list[str], text: str) -> str:
    result = subprocess.run(
        argv, cwd=place.work, env=place.environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=BLOCK_SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def typed_at_console(place: Place, argv: list[str], typed: str) -> str:
    """Type a block at the console, leave the console, and return the output."""
    with subprocess.Popen(
        argv, cwd=place.work, env=place.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        try:
            process.stdin.write(b"\r")
            process.stdin.flush()
            output = await_words(process.stdout, PROMPT, BLOCK_SECONDS)
            for number, line in enumerate(typed.splitlines()):
                assert line.startswith("# "), line
                process.stdin.write(f"{line[2:]} && echo is-$((6*7))-{number}\r".encode())
                process.stdin.flush()
                output += await_words(process.stdout, f"is-42-{number}".encode(), BLOCK_SECONDS)
            process.stdin.write(LEAVE)
            process.stdin.flush()
            assert process.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    return output.decode(errors="replace")

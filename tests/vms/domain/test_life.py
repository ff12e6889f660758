"""Life of a machine without guests: on libvirt's test driver, and on stand-ins for its ports."""

from __future__ import annotations

import os
import pty
import signal
import socket
import struct
import threading
import time
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from vms import (
    Accelerator,
    Connection,
    DirectKernel,
    Forward,
    InvalidDescription,
    LineReader,
    Machine,
    MachineError,
    NotFound,
    UserNetwork,
)
from vms.domain import port_forwarding
from vms.domain.domain import Domain, Place
from vms.domain.events import Events
from vms.domain.ports import Ports
from vms.guest import file_copy
from vms.operations import console as consoles
from vms.operations import screenshot, snapshots, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    root = tmp_path_factory.mktemp("t", numbered=False)
    with Connection.open(root, "test:///default") as opened:
        yield opened


def stand_in(console: Path) -> Domain:
    """Return a machine that has nothing but a console."""
    return Domain(None, Place(), Ports("box", {"console": console}))


def test_events_report_a_machines_life(connection: Connection) -> None:
    with Events(connection.handle, ("lifecycle",)) as events:
        box = connection.find("test")
        assert (box.state, box.is_running) == ("running", True)
        box.suspend()
        assert box.state == "paused"
        box.resume()
        box.destroy()
        assert (box.state, box.is_running) == ("shut off", False)
        box.start()
        received = [events.within(5) for _ in range(4)]
        assert [each.name for each in received if each] == [
            "suspended",
            "resumed",
            "stopped",
            "started",
        ]
        assert all(each.machine == "test" for each in received if each)
        assert events.within(0.05) is None
    assert [each.name for each in connection.domains()] == ["test"]


def test_impossible_requests_name_their_reason(connection: Connection) -> None:
    box = connection.find("test")
    with pytest.raises(NotFound, match="There is no machine nobody here"):
        connection.find("nobody")
    with pytest.raises(MachineError, match="Can't resume test"):
        box.resume()
    with pytest.raises(NotFound, match="test has no console that listens on a socket"):
        _ = box.console
    with pytest.raises(NotFound, match="test has no channel for an agent"):
        _ = box.inside
    with pytest.raises(MachineError, match="test has no snapshot none"):
        snapshots.revert(box, "none")


@pytest.mark.parametrize("backend", ["slirp", "passt"])
def test_forwards_of_kept_machines_need_passt(
    connection: Connection, backend: Literal["slirp", "passt"], tmp_path: Path
) -> None:
    """libvirt forwards ports with passt only, and nothing else is there at a later start."""
    kernel = tmp_path / "kernel"
    kernel.touch()
    network = UserNetwork((Forward(8080, 80),), backend=backend)
    box = Machine(
        name="kept",
        vcpus=1,
        memory_mib=64,
        accelerator=Accelerator.TCG,
        chipset="q35",
        boot=DirectKernel(kernel, None),
        networks=(network,),
    )
    with (
        pytest.raises(InvalidDescription, match=r"networks has port forwards \(8080\)")
        if backend == "slirp"
        else nullcontext()
    ):
        port_forwarding.refuse_kept(box)
    if backend == "slirp":
        with pytest.raises(InvalidDescription, match=r"kept: networks .* start the machine by run"):
            connection.define(box)
        assert [each.name for each in connection.domains()] == ["test"]


def test_statistics_name_every_machine(connection: Connection) -> None:
    (machine,) = statistics.all_machines(connection)
    assert (machine.name, machine.state) == ("test", "running")


def test_snapshots_are_listed_with_their_parents(connection: Connection) -> None:
    box = connection.find("test")
    snapshots.create(box, "one", description="first")
    snapshots.create(box, "two")
    by_name = {each.name: each for each in snapshots.of(box)}
    assert by_name["one"].description == "first"
    assert (by_name["two"].parent, by_name["two"].is_current) == ("one", True)
    for name in ("two", "one"):
        snapshots.delete(box, name)
    assert snapshots.of(box) == []


def test_a_screenshot_is_converted_to_png() -> None:
    rows = [bytes([200, 100, 50] * 2), bytes([0, 1, 2] * 2), bytes([9] * 6)]
    png = screenshot.png(b"P6\n# drawn\n2 3\n255\n" + b"".join(rows))
    assert struct.unpack(">II", png[16:24]) == (2, 3)
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    assert zlib.decompress(png[at + 4 : at + 4 + length]) == b"".join(b"\0" + row for row in rows)
    with pytest.raises(MachineError, match="incomplete"):
        screenshot.png(b"P6 2 3 255\n" + rows[0])
    with pytest.raises(MachineError, match="unknown format"):
        screenshot.png(b"GIF89a")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "port"
        listener.bind(str(path))
        listener.listen(1)
        yield path, listener


def test_the_output_kept_of_a_console_is_bounded(port: tuple[Path, socket.socket]) -> None:
    path, listener = port
    with LineReader(path) as reader, listener.accept()[0] as guest:

        def flood() -> None:
            for number in range(3000):
                guest.sendall(b"word%d %s\n" % (number, b"x" * 10_000))
            guest.sendall(b"y" * 5_000_000 + b"\nready\n")

        thread = threading.Thread(target=flood)
        thread.start()
        reader.wait_for("ready", time.monotonic_ns() + 30 * 10**9)
        thread.join()
        assert len(reader._seen) <= 1001
        assert len(reader._lines) <= 1000
        assert len(reader._partial) <= 4096


def test_a_guest_does_not_block_on_unread_output(port: tuple[Path, socket.socket]) -> None:
    path, listener = port
    with LineReader(path) as reader, listener.accept()[0] as guest:
        guest.settimeout(30)
        guest.sendall(b"first-instruction 1\n")
        for _ in range(20_000):
            guest.send(b"x")
        guest.sendall(b"\nlast\n")
        reader.wait_for("last", time.monotonic_ns() + 30 * 10**9)
        assert reader.wait_for("first-instruction", 0)
        assert reader.said[0] == "first-instruction 1"


def test_a_panic_is_given_as_the_reason(port: tuple[Path, socket.socket]) -> None:
    path, listener = port
    with LineReader(path) as reader:
        guest, _ = listener.accept()
        guest.sendall(b"[ 1.5] Kernel panic - not syncing: no init\r\n")
        with pytest.raises(MachineError, match="kernel panicked: Kernel panic - not syncing: no"):
            reader.wait_for("ready", time.monotonic_ns() + 10**8)
        guest.close()


def test_the_escape_character_leaves_the_console(port: tuple[Path, socket.socket]) -> None:
    path, listener = port
    keys, keyboard = pty.openpty()
    shown, screen = os.pipe()
    box = stand_in(path)
    left: list[bool] = []
    attached = threading.Thread(target=lambda: left.append(consoles.attach(box, keyboard, screen)))
    # Only the main thread can set signal handlers, so the terminal's size is not followed here.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signal, "signal", lambda *_: None)
        attached.start()
        guest, _ = listener.accept()
        guest.sendall(b"login: ")
        assert os.read(shown, 100) == b"login: "
        os.write(keys, b"root\x03")
        typed = b""
        while len(typed) < 5:
            typed += guest.recv(10)
        assert typed == b"root\x03"
        os.write(keys, b"\x1d")
        attached.join(10)
    assert left == [True]
    guest.close()
    for descriptor in (keys, keyboard, shown, screen):
        os.close(descriptor)


def test_the_console_is_shown_after_the_end_of_input(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "c"))
    listener.listen()
    shown, screen = os.pipe()
    box = stand_in(tmp_path / "c")
    left: list[bool] = []
    with listener, Path(os.devnull).open("rb") as nothing:
        attached = threading.Thread(
            target=lambda: left.append(consoles.attach(box, nothing.fileno(), screen))
        )
        attached.start()
        guest, _ = listener.accept()
        attached.join(0.2)
        guest.sendall(b"still here")
        assert os.read(shown, 100) == b"still here"
        guest.close()
        attached.join(10)
    assert left == [False]
    os.close(shown)
    os.close(screen)


def test_a_file_that_is_copied_in_part_is_removed(tmp_path: Path) -> None:
    class Broken:
        def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
            yield b"half"
            raise MachineError(f"In the machine: {path}: it broke.")

    with pytest.raises(MachineError, match="it broke"):
        file_copy.copy_out(Broken(), "/f", tmp_path / "f")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []

"""Connections: addresses, roots, and translated errors, on libvirt's driver test:///default."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import libvirt
import pytest

from vms import (
    Connection,
    InUse,
    MachineError,
    NotFound,
    PermissionDenied,
    Unavailable,
    hosts,
)
from vms.connection import embedded
from vms.libvirt_errors import translate_errors, translated
from vms.operations import listing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the files of these tests off the host's own directories."""
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        yield Path(path)


def test_libvirts_own_machines_are_listed(short: Path) -> None:
    with Connection.open(short, "test:///default") as connection:
        (machine,) = listing.machines(connection)
        assert (machine.name, machine.state, machine.is_persistent) == ("test", "running", True)
        assert machine.memory_mib == 8192


def test_a_connection_that_was_lost_is_opened_anew(short: Path) -> None:
    with Connection.open(short, "test:///default") as connection:
        first = connection.handle
        assert connection.handle is first
        first.close()
        first.isAlive = lambda: 0
        assert connection.handle is not first
        assert [each.name for each in listing.machines(connection)] == ["test"]


@pytest.mark.parametrize(
    ("uri", "is_local"),
    [("test:///default", True), ("qemu:///system", True), ("qemu+unix:///system?socket=/x", True),
     ("qemu+ssh://host/system", False), ("qemu://host/system", False),
     ("qemu+ext:///system?command=/x", False), ("qemu+tcp:///system", False)],
)  # fmt: skip
def test_an_address_is_local_or_not(uri: str, is_local: bool) -> None:
    assert hosts.is_local(uri) == is_local


class Libvirt:
    """An open libvirt that reports its address and its host."""

    def __init__(self, uri: str, name: str) -> None:
        self.getURI = lambda: uri
        self.getHostname = lambda: name


@pytest.mark.parametrize(
    ("address", "uri", "name", "is_here"),
    [("qemu:///system", "qemu:///system", platform.node(), True),
     ("qemu:///system", "qemu:///system", f"{platform.node()}.example.org", True),
     ("alias", "qemu+ssh://host/system", platform.node(), False),
     ("qemu+unix:///system?socket=/x", "qemu+unix:///system?socket=/x", "forwarded", False)],
)  # fmt: skip
def test_the_host_is_known_from_an_open_libvirt(
    address: str, uri: str, name: str, is_here: bool
) -> None:
    host = hosts.of(Libvirt(uri, name), address)
    assert host.is_here == is_here
    assert host.path(Path("/a")) == Path("/a")
    if is_here:
        host.require_here("No")
        assert host.path(Path("a")) == Path.cwd() / "a"
        return
    with pytest.raises(MachineError, match=r"No: .* leads to another host.*run tonnage on that"):
        host.require_here("No")
    with pytest.raises(MachineError, match=r"a is a relative path, .*another host .*absolute path"):
        host.path(Path("a"))


def test_a_root_has_one_process(short: Path) -> None:
    code = (
        "import sys, pathlib; from vms.connection import embedded\n"
        "embedded.prepare(pathlib.Path(sys.argv[1])); print('ready', flush=True); input()\n"
    )
    words = [sys.executable, "-c", code, str(short)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"ready\n"
        assert embedded.is_owned(short)
        with pytest.raises(InUse, match="Another process has its machines below"):
            embedded.prepare(short)
        assert embedded.clean(short) == []
        assert short.is_dir()
        other.stdin.close()
    assert not embedded.is_owned(short)
    (short / "keep").mkdir()
    embedded.prepare(short)
    embedded.release(short)
    assert embedded.clean(short) == [f"removed {short}"]
    short.mkdir()


def test_the_machines_of_a_dead_owner_are_killed(short: Path) -> None:
    """A pid file alone does not make a process a QEMU: its command line must name the root."""
    pids = short / "run/qemu"
    pids.mkdir(parents=True)
    code = "import time; print('ready', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, str(short)]
    with (
        subprocess.Popen(["sleep", "60"]) as innocent,
        subprocess.Popen(words, stdout=subprocess.PIPE) as emulator,
    ):
        # Popen may return during execve, when the process has no command line yet.
        assert emulator.stdout is not None
        assert emulator.stdout.readline() == b"ready\n"
        (pids / "left.pid").write_text(str(emulator.pid))
        (pids / "innocent.pid").write_text(str(innocent.pid))
        (pids / "gone.pid").write_text("999999999")
        embedded.prepare(short)
        assert emulator.wait(5) == -9
        assert innocent.poll() is None
        innocent.kill()
    assert not (short / "run").exists()
    embedded.release(short)


def test_roots_share_the_cache_of_capabilities(short: Path, state: Path) -> None:
    """The cache outlives the root of the process that filled it."""
    for name in ("a", "b"):
        embedded.prepare(short / name)
        cache = short / name / "cache/qemu/capabilities"
        (cache / f"{name}.xml").write_text("<qemuCaps/>")
        embedded.release(short / name)
    assert sorted(path.name for path in cache.iterdir()) == ["a.xml", "b.xml"]
    for name in ("a", "b"):
        embedded.clean(short / name)
    assert len(list((state / "capabilities").iterdir())) == 2


def error(message: str, code: int = libvirt.VIR_ERR_INTERNAL_ERROR) -> libvirt.libvirtError:
    raised = libvirt.libvirtError("x")
    raised.err = (code, 0, message, 0, "", None, None, -1, -1)
    return raised


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (
            error(
                "internal error: process exited while connecting to monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: cannot set up guest memory 'pc.ram':"
                " Cannot allocate memory"
            ),
            Unavailable,
            "No box: cannot set up guest memory 'pc.ram': Cannot allocate memory: the host has too"
            " little free memory: give the machine less, or stop others.",
        ),
        (
            error(
                "internal error: qemu unexpectedly closed the monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: warning: x\n"
                "2026-11-24T16:00:00.1Z qemu-system-x86_64: -device {}: "
                'Failed to get "write" lock'
            ),
            InUse,
            'No box: Failed to get "write" lock: another machine uses that disk image: give each'
            " machine its own clone.",
        ),
        (
            error("Domain not found: no domain with matching name 'x'", libvirt.VIR_ERR_NO_DOMAIN),
            NotFound,
            "No box: Domain not found: no domain with matching name 'x': tonnage vm list shows"
            " the machines.",
        ),
        (
            error("internal error: client socket is closed"),
            Unavailable,
            "the connection to libvirt was lost",
        ),
        (
            error("Failed to connect socket to '/run/x': No such file or directory"),
            Unavailable,
            "no libvirt answers at that address: start its daemon",
        ),
        (
            error("Cannot recv data: user@host: Permission denied (publickey)."),
            PermissionDenied,
            "ssh could not log in to that host",
        ),
        (error("something new"), MachineError, "No box: something new."),
    ],
)  # fmt: skip
def test_an_error_has_a_class_and_advice(
    raised: libvirt.libvirtError, kind: type[MachineError], message: str
) -> None:
    ours = translated("No box", raised)
    assert type(ours) is kind
    assert message in str(ours)
    assert "\n" not in str(ours)


def test_libvirts_errors_are_translated_and_not_printed(
    short: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        Connection.open(short, "test:///default") as connection,
        pytest.raises(NotFound, match="Can't find x: Domain not found"),
        translate_errors("Can't find x"),
    ):
        connection.handle.lookupByName("x")
    assert capfd.readouterr().err == ""


def test_a_missing_libvirt_is_reported_and_not_printed(
    short: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(Unavailable, match="no libvirt answers at that address: start its daemon"),
        Connection.open(short, f"qemu+unix:///system?socket={short}/none"),
    ):
        pass
    assert capfd.readouterr().err == ""


def test_the_environment_names_a_libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    from vms.connection.connection import default_uri

    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu:///session")
    assert default_uri() == "qemu:///session"
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "")
    assert default_uri() is None

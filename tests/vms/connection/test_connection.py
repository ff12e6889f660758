"""Which libvirt, whose root, and what libvirt's errors become. On its driver test:///default."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import libvirt
import pytest

from vms import Connection, MachineError, hosts
from vms.connection import embedded
from vms.libvirt_errors import sentence, translate_errors
from vms.operations import listing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of these tests is kept on the host."""
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def short() -> Iterator[Path]:
    """A path that is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        yield Path(path)


def test_libvirts_own_machines_are_listed(short: Path) -> None:
    with Connection.open(short, "test:///default") as connection:
        (found,) = listing.machines(connection)
        assert (found.name, found.state, found.is_persistent) == ("test", "running", True)
        assert found.memory_mib == 8192


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
def test_an_address_tells_whether_it_is_here(uri: str, is_local: bool) -> None:
    assert hosts.is_local(uri) == is_local


class Told:
    """An open libvirt, as far as it tells where it is."""

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
def test_an_open_libvirt_tells_better_where_it_is(
    address: str, uri: str, name: str, is_here: bool
) -> None:
    found = hosts.of(Told(uri, name), address)
    assert found.is_here == is_here
    assert found.path(Path("/a")) == Path("/a")
    if is_here:
        found.require_here("No")
        assert found.path(Path("a")) == Path.cwd() / "a"
        return
    with pytest.raises(MachineError, match=r"No: .* leads to another host.*run tonnage on that"):
        found.require_here("No")
    with pytest.raises(MachineError, match=r"a is looked for on another host .*whole path"):
        found.path(Path("a"))


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
        with pytest.raises(MachineError, match="Another process has its machines below"):
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


def test_what_a_dead_owner_left_is_swept(short: Path) -> None:
    """Its QEMU is one by its command line and its pid file; another process of that pid is not."""
    pids = short / "run/qemu"
    pids.mkdir(parents=True)
    code = "import time; print('ready', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, str(short)]
    with (
        subprocess.Popen(["sleep", "60"]) as innocent,
        subprocess.Popen(words, stdout=subprocess.PIPE) as left,
    ):
        # Popen returns in the middle of an exec, when the process has no command line yet.
        assert left.stdout is not None
        assert left.stdout.readline() == b"ready\n"
        (pids / "left.pid").write_text(str(left.pid))
        (pids / "innocent.pid").write_text(str(innocent.pid))
        (pids / "gone.pid").write_text("999999999")
        embedded.prepare(short)
        assert left.wait(5) == -9
        assert innocent.poll() is None
        innocent.kill()
    assert not (short / "run").exists()
    embedded.release(short)


def test_roots_share_what_is_known_of_qemu(short: Path, state: Path) -> None:
    """Asked once on a host; what is known outlives the root of the process that asked."""
    for name in ("a", "b"):
        embedded.prepare(short / name)
        answers = short / name / "cache/qemu/capabilities"
        (answers / f"{name}.xml").write_text("<qemuCaps/>")
        embedded.release(short / name)
    assert sorted(path.name for path in answers.iterdir()) == ["a.xml", "b.xml"]
    for name in ("a", "b"):
        embedded.clean(short / name)
    assert len(list((state / "capabilities").iterdir())) == 2


def error(message: str, code: int = libvirt.VIR_ERR_INTERNAL_ERROR) -> libvirt.libvirtError:
    made = libvirt.libvirtError("x")
    made.err = (code, 0, message, 0, "", None, None, -1, -1)
    return made


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            error(
                "internal error: process exited while connecting to monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: cannot set up guest memory 'pc.ram':"
                " Cannot allocate memory"
            ),
            "No box: cannot set up guest memory 'pc.ram': Cannot allocate memory: the host has not"
            " so much memory left: give it less, or stop other machines.",
        ),
        (
            error(
                "internal error: qemu unexpectedly closed the monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: warning: x\n"
                "2026-11-24T16:00:00.1Z qemu-system-x86_64: -device {}: "
                'Failed to get "write" lock'
            ),
            'No box: Failed to get "write" lock: another machine uses that disk image: give each'
            " its own clone.",
        ),
        (
            error("Domain not found: no domain with matching name 'x'", libvirt.VIR_ERR_NO_DOMAIN),
            "No box: Domain not found: no domain with matching name 'x': tonnage vm list shows"
            " which machines there are.",
        ),
        (error("internal error: client socket is closed"), "libvirt went away"),
        (
            error("Failed to connect socket to '/run/x': No such file or directory"),
            "no libvirt answers there: start its daemon",
        ),
        (error("something new"), "No box: something new."),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence_with_what_to_do(found: libvirt.libvirtError, said: str) -> None:
    made = sentence("No box", found)
    assert said in made
    assert "\n" not in made


def test_libvirts_complaints_become_ours(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        Connection.open(short, "test:///default") as connection,
        pytest.raises(MachineError, match="Can't find x: Domain not found"),
        translate_errors("Can't find x"),
    ):
        connection.handle.lookupByName("x")
    assert capfd.readouterr().err == ""


def test_no_libvirt_there_is_one_sentence(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(MachineError, match="no libvirt answers there: start its daemon"),
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

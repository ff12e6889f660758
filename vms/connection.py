"""Which libvirt: its QEMU driver embedded in this process by default, any URI on request.

The embedded driver needs no daemon; what it keeps lies below a root directory of its own. libvirt's
event loop runs in a thread, one a process. (libvirt, "Embedded QEMU driver", drvqemu.html)
"""

from __future__ import annotations

import ctypes
import functools
import os
import pwd
import shutil
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What matters comes as an exception. Read once, when the library is loaded.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")

import libvirt

from vms.devices import Machine, domain_xml
from vms.domain import Domain, ended_within
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCOUNT = "libvirt-qemu"
_CONFIGURATION = """\
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""
_LONGEST_ROOT = 60  # what is left of a UNIX socket's 107 bytes goes to names below it. (unix(7))
_KILL_SECONDS = 10.0
_PR_SET_CHILD_SUBREAPER = 36
_REAP_SECONDS = 0.02


class Connection:
    """An open connection to libvirt, and the machines that were started by it."""

    def __init__(self, connection: Any, root: Path, *, embedded: bool) -> None:
        self._connection = connection
        self._root = root
        self._embedded = embedded
        self._sockets = root / "s"
        self._sockets.mkdir(exist_ok=True)
        self._running: dict[str, Domain] = {}

    @classmethod
    @contextmanager
    def open(cls, root: Path, uri: str | None = None) -> Iterator[Connection]:
        """Open libvirt: embedded, below `root`, or at `uri`, with only our sockets below `root`.

        Machines that still run when the block ends are destroyed. A process has one embedded
        libvirt: another root is refused. Raises MachineError.
        """
        if len(os.fsencode(root)) > _LONGEST_ROOT:
            raise MachineError(f"{root} is too long for sockets below it: choose a shorter path.")
        root.mkdir(parents=True, exist_ok=True)
        embedded = uri is None
        if embedded:
            _prepare_embedded(root)
        _run_event_loop()
        address = f"qemu:///embed?root={root}" if uri is None else uri
        try:
            handle = libvirt.open(address)
        except libvirt.libvirtError as error:
            raise MachineError(f"Can't open libvirt at {address}: {error}.") from error
        connection = cls(handle, root, embedded=embedded)
        try:
            connection.probe()
            yield connection
        finally:
            connection.destroy_all()
            with suppress(libvirt.libvirtError):
                handle.close()

    def probe(self) -> None:
        """Have libvirt look at its QEMU now, so that the first start does not wait for it."""
        with suppress(libvirt.libvirtError):
            self._connection.getDomainCapabilities(None, "x86_64", "q35", "qemu", 0)

    def start(self, machine: Machine) -> Domain:
        """Start a transient machine: it is gone once it stops.

        Its ports are connected before its first instruction, so that nothing it says is lost.
        Raises MachineError, and then nothing is left.
        """
        machine.check()
        if machine.name in self._running:
            raise MachineError(f"There is a machine {machine.name} already.")
        sockets = {
            name: self._sockets / f"{machine.name}.{number}"
            for number, name in enumerate(("console", *machine.channels))
        }
        with ExitStack() as undo:
            for path in sockets.values():
                undo.callback(path.unlink, missing_ok=True)
            try:
                with _adopting_orphans():
                    handle = self._connection.createXML(
                        domain_xml(machine, sockets), libvirt.VIR_DOMAIN_START_PAUSED
                    )
                domain = Domain(machine, handle, sockets, self._pid_file(machine.name))
                undo.callback(domain.destroy)
                domain.connect()
                domain.resume()
            except libvirt.libvirtError as error:
                raise MachineError(f"libvirt can't start {machine.name}: {error}.") from error
            undo.pop_all()
        self._running[machine.name] = domain
        domain.on_gone = functools.partial(self._running.pop, machine.name, None)
        return domain

    def running(self) -> list[Domain]:
        """The machines that were started here and not yet destroyed."""
        return list(self._running.values())

    def destroy_all(self) -> None:
        """Destroy every one of them."""
        for domain in self.running():
            domain.destroy()

    def _pid_file(self, name: str) -> Path | None:
        return self._root / "run/qemu" / f"{name}.pid" if self._embedded else None


def clean(root: Path) -> list[str]:
    """Kill the machines that a process which is gone left below `root`; remove it.

    A QEMU is known by the pid file there and by the root in its command line. Returns what was
    done, a line each.
    """
    done = []
    for file in sorted(root.glob("run/qemu/*.pid")):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if os.fsencode(root) in Path(f"/proc/{pid}/cmdline").read_bytes():
                pidfd = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended_within(pidfd, _KILL_SECONDS)
                finally:
                    os.close(pidfd)
                done.append(f"killed machine {file.stem} (process {pid})")
    if root.is_dir():
        shutil.rmtree(root)
        done.append(f"removed {root}")
    return done


def _prepare_embedded(root: Path) -> None:
    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError as error:
        raise MachineError(
            f"libvirt wants an account {_ACCOUNT} on this host: make setup, or adduser --system"
            f" --group --no-create-home {_ACCOUNT}."
        ) from error
    # Where libvirt looks differs between its versions.
    for path in (root / "etc/qemu.conf", root / "etc/qemu/qemu.conf"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_CONFIGURATION)


@functools.cache
def _run_event_loop() -> None:
    """Start libvirt's event loop in a thread, once a process; its complaints come as exceptions."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_event_loop, name="libvirt events", daemon=True).start()


def _event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Become the parent of the QEMU that libvirt starts meanwhile, as a daemon.

    libvirt waits until a process that it killed is gone, and a zombie is not gone until its parent
    has reaped it: process 1 of some hosts takes seconds. A QEMU that ends at once is reaped here.
    (prctl(2), PR_SET_CHILD_SUBREAPER)
    """
    prctl = ctypes.CDLL(None).prctl
    started = threading.Event()
    reaper = threading.Thread(target=_reap_until, args=(started,), daemon=True)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reaper.start()
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        started.set()
        reaper.join()


def _reap_until(started: threading.Event) -> None:
    """Reap QEMUs that end before `started`, and nobody else's children. (waitid(2))"""
    while not started.wait(_REAP_SECONDS):
        with suppress(ChildProcessError, FileNotFoundError):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            name = Path(f"/proc/{ended.si_pid}/comm").read_text() if ended else ""
            if ended and name.startswith("qemu-system"):
                os.waitpid(ended.si_pid, os.WNOHANG)

"""Which libvirt: its QEMU driver embedded in this process by default, any URI on request.

libvirt's event loop runs in a thread, one a process.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

# What matters comes as an exception. Read once, when the library is loaded.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")

import libvirt

from vms import hosts
from vms import paths as state
from vms.connection import embedded
from vms.description import CONSOLE, NVRAM, Accelerator, LibvirtNetwork, Machine, domain_xml
from vms.domain import mac_addresses, port_forwarding
from vms.domain.domain import Domain
from vms.domain.images import frozen_images_of
from vms.errors import MachineError
from vms.libvirt_errors import sentence, translate_errors
from vms.qemu import acceleration
from vms.qemu.early_resume import Origin, beside, with_words, without_monitor
from vms.qemu.huge_pages import without_huge_pages
from vms.qemu.qmp import Listener
from vms.qemu.reaper import adopting_qemu_of
from vms.storage import readers
from vms.storage.backing_file_policy import DiskFile, disk_files, refuse_unsafe
from vms.storage.readers import is_golden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from vms.description import Cdrom, Disk

_REOPEN_SECONDS = 10.0
_RETRY_SECONDS = 0.2
# A daemon that says nothing for 5 s, three times, is gone. (virConnectSetKeepAlive)
_KEEPALIVE = (5, 3)
_KVM, _VSOCK = Path("/dev/kvm"), Path("/dev/vhost-vsock")


class Connection:
    """An open connection to libvirt, and the machines that were started by it."""

    def __init__(
        self, root: Path, uri: str | None = None, image_directories: Sequence[Path] = ()
    ) -> None:
        self.is_embedded = uri is None
        self.root = root
        self._image_directories = tuple(image_directories) or (state.images(),)
        self._address = embedded.prepare(root) if uri is None else uri
        _run_event_loop()
        self._libvirt = _opened(self._address)
        self.host = self._host()
        self.sockets = root / embedded.SOCKETS
        self.sockets.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, Domain] = {}

    @classmethod
    @contextmanager
    def open(
        cls, root: Path, uri: str | None = None, image_directories: Sequence[Path] = ()
    ) -> Iterator[Connection]:
        """Open libvirt: embedded, below `root`, or at `uri`, with only our sockets below `root`.

        Machines that still run when the block ends are destroyed. A process has one embedded
        libvirt: another root is refused. A disk's backing file is followed only into
        `image_directories`; without them, into the image store. Raises MachineError, also at the
        end if a machine could not be destroyed.
        """
        embedded.refuse_long(root)
        connection = cls(root, uri, image_directories)
        with ExitStack() as stack:
            stack.callback(connection.close)
            stack.callback(connection.destroy_all)
            connection.probe()
            yield connection

    @property
    def uri(self) -> str:
        """The address that it was opened by."""
        return self._address

    @property
    def is_local(self) -> bool:
        """Return True if libvirt is on this host."""
        return self.host.is_here

    @property
    def handle(self) -> Any:
        """libvirt's own connection, opened anew if it was lost. Raises MachineError."""
        if not self._libvirt.isAlive():
            lost, self._libvirt = self._libvirt, _opened(self._address, _REOPEN_SECONDS)
            with suppress(libvirt.libvirtError):
                lost.close()
            for domain in self.running():  # its handle belonged to what was lost
                with suppress(libvirt.libvirtError):
                    domain.handle = self._libvirt.lookupByName(domain.name)
        return self._libvirt

    def probe(self) -> None:
        """Have libvirt look at its QEMU now, so that the first start does not wait for it."""
        with suppress(libvirt.libvirtError):
            self.handle.getDomainCapabilities(None, "x86_64", "q35", "qemu", 0)

    def check(self, machine: Machine) -> None:
        """Refuse what can't run here, before anything is made. Raises MachineError."""
        machine.check(self.host)
        for disk in machine.disks:
            self.check_disk(disk)
        for drive in machine.cdroms:
            self.check_medium(drive)
        for sentence_ in self._objections(machine):
            raise MachineError(f"{machine.name}: {sentence_}.")
        addresses = [card.mac for card in machine.networks if card.mac]
        mac_addresses.refuse_taken(self.handle, machine.name, addresses)

    def check_disk(self, disk: Disk) -> None:
        """Refuse a disk that no machine may have. Raises MachineError."""
        if self.is_local:
            self._refuse_disk(DiskFile(disk.path, disk.format, not disk.read_only))

    def check_medium(self, drive: Cdrom) -> None:
        """Refuse a medium that no drive may have. Raises MachineError."""
        if self.is_local and drive.medium:
            refuse_unsafe(drive.medium, "raw", self._image_directories)

    def refuse_unsafe_disks(self, described: ET.Element, bases: Collection[Path] = ()) -> None:
        """Refuse a description in libvirt's words by its disks. Raises MachineError."""
        if not self.is_local:
            return
        for disk in disk_files(described):
            self._refuse_disk(disk, bases)

    def _refuse_disk(self, disk: DiskFile, bases: Collection[Path] = ()) -> None:
        refuse_unsafe(disk.path, disk.format, self._image_directories, bases)
        if disk.is_written and is_golden(disk.path):
            raise MachineError(
                f"{disk.path} is the store's, from which others read: give the machine a clone."
            )

    def start(
        self,
        machine: Machine,
        origin: Origin | None = None,
        on_running: Callable[[Domain], object] = lambda _: None,
    ) -> Domain:
        """Start a transient machine: it is gone once it stops.

        Its ports are connected before its first instruction, so that nothing it says is lost.
        `origin` is what it begins from instead of a cold boot. With the embedded libvirt the guest
        runs before libvirt is done, and `on_running` is called meanwhile, in another thread.
        Raises MachineError, and then nothing is left.
        """
        self.check(machine)
        if machine.name in self._running:
            raise MachineError(f"There is a machine {machine.name} already.")
        paths = self.paths_of(machine) if self.is_local else {}
        with ExitStack() as undo:
            for path in paths.values():
                undo.callback(path.unlink, missing_ok=True)
            domain = Domain(machine.name, paths, self._pid_file(machine.name), self.host)
            domain.image_directories = self._image_directories
            undo.callback(domain.destroy)
            with (
                translate_errors(f"Can't start {machine.name}"),
                adopting_qemu_of(embedded=self.is_embedded),
            ):
                xml = self.xml(machine, paths)
                if self.is_embedded:
                    self._start_early(domain, machine, xml, origin, on_running)
                else:
                    self._start_plainly(domain, machine, xml, on_running)
            domain.reap()
            undo.pop_all()
        self._running[machine.name] = domain
        domain.on_gone = functools.partial(self._running.pop, machine.name, None)
        return domain

    def define(self, machine: Machine) -> Domain:
        """Make libvirt know a machine that stays until it is undefined; it is not started.

        Where its ports listen is chosen by a libvirt that outlives us. Raises MachineError.
        """
        self.check(machine)
        port_forwarding.refuse_kept(machine)
        paths = self.paths_of(machine) if self.is_embedded else {}
        return self.define_xml(self.xml(machine, paths))

    def define_xml(self, xml: str) -> Domain:
        """The same, for a machine described in libvirt's own words. Raises MachineError."""
        with translate_errors("Can't define the machine"):
            handle = self.handle.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        if self.is_local:
            for disk in disk_files(ET.fromstring(xml)):
                readers.note(disk.path)
        return self._found(handle)

    def find(self, name: str) -> Domain:
        """The machine of that name, whether it runs or not. Raises MachineError."""
        with translate_errors(f"There is no machine {name} here"):
            return self._found(self.handle.lookupByName(name))

    def domains(self) -> list[Domain]:
        """All machines that libvirt has, by name. Raises MachineError."""
        with translate_errors("Can't list the machines"):
            found = [self._found(handle) for handle in self.handle.listAllDomains()]
        return sorted(found, key=lambda domain: domain.name)

    def restore(self, path: Path) -> Domain:
        """Let a machine whose memory was saved to a file go on. Raises MachineError.

        Its disks are looked at as those of a machine that is started; one that was started here
        has its ports forwarded again.
        """
        with translate_errors(f"Can't restore {path}"):
            secure = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
            xml = self.handle.saveImageGetXMLDesc(str(path), secure)
        described = ET.fromstring(xml)
        name = described.findtext("name", "")
        known = [domain for domain in self.domains() if domain.name == name]
        bases = [base for domain in known for base in frozen_images_of(domain)]
        self.refuse_unsafe_disks(described, bases)
        with translate_errors(f"Can't restore {path}"), adopting_qemu_of(embedded=self.is_embedded):
            self.handle.restoreFlags(str(path), without_monitor(xml))
        domain = self.find(name)
        domain.reap()
        if (started := self._running.get(name)) and started.machine:
            domain.forward(started.machine)
        return domain

    def paths_of(self, machine: Machine) -> dict[str, Path]:
        """Where a machine's console and channels listen, and where its variables are kept."""
        names = (CONSOLE, *machine.channels, NVRAM)
        return {name: self.socket(machine.name, n) for n, name in enumerate(names)}

    def socket(self, name: str, number: int) -> Path:
        """Where a machine's port of that number listens."""
        return self.sockets / f"{name}.{number}"

    def xml(self, machine: Machine, paths: dict[str, Path]) -> str:
        """The domain's XML for the host that this connection leads to."""
        kvm = machine.accelerator is Accelerator.KVM
        broken = acceleration.broken_features() if kvm and self.is_local else ()
        return domain_xml(machine, paths, broken)

    def running(self) -> list[Domain]:
        """The machines that were started here and not yet destroyed."""
        return list(self._running.values())

    def destroy_all(self) -> None:
        """Destroy every one of them. Raises MachineError once all were tried."""
        with ExitStack() as stack:
            for domain in self.running():
                stack.callback(domain.destroy)
            if self._running and not self.is_embedded:
                with suppress(MachineError):
                    _ = self.handle  # their handles are no good if the connection was lost

    def close(self) -> None:
        """Close it; machines that run go on, unless libvirt is embedded and its process ends."""
        if self._address in _kept:
            return
        with suppress(libvirt.libvirtError):
            self._libvirt.close()

    def _start_early(
        self,
        domain: Domain,
        machine: Machine,
        xml: str,
        origin: Origin | None,
        on_running: Callable[[Domain], object],
    ) -> None:
        with Listener(self.sockets / f"{domain.name}.q") as listener:

            def run() -> None:
                domain.run(listener, machine, origin)
                on_running(domain)

            words = (*listener.words(), *machine.words(), *(origin.words() if origin else ()))
            with beside(run, listener.give_up):
                domain.handle = self._create(machine, with_words(xml, words))

    def _start_plainly(
        self, domain: Domain, machine: Machine, xml: str, on_running: Callable[[Domain], object]
    ) -> None:
        domain.handle = self._create(machine, xml, libvirt.VIR_DOMAIN_START_PAUSED)
        domain.look_at_ports()
        domain.connect()
        domain.forward(machine)
        domain.resume()
        on_running(domain)

    def _create(self, machine: Machine, xml: str, flags: int = 0) -> Any:
        huge_pages = machine.memory.transparent_huge_pages
        with nullcontext() if huge_pages else without_huge_pages():
            return self.handle.createXML(xml, flags)

    def _objections(self, machine: Machine) -> Iterator[str]:
        if self.is_local and machine.accelerator is Accelerator.KVM and not _KVM.exists():
            yield "accelerator is kvm, and this host has no /dev/kvm: tcg emulates"
        if self.is_local and machine.vsock and not _VSOCK.exists():
            yield f"vsock needs {_VSOCK} on the host: modprobe vhost_vsock"
        if self.is_embedded and any(isinstance(n, LibvirtNetwork) for n in machine.networks):
            yield (
                "networks name one of libvirt's, and the embedded libvirt keeps none: --connect"
                " qemu:///system does"
            )
        if not self.is_embedded and not machine.memory.transparent_huge_pages:
            yield "memory.transparent_huge_pages can only be switched off with the embedded libvirt"

    def _found(self, handle: Any) -> Domain:
        domain = Domain.found(handle, self._pid_file(handle.name()), self.host)
        domain.image_directories = self._image_directories
        return domain

    def _host(self) -> hosts.Host:
        with translate_errors(f"Which host {self._address} leads to can't be known"):
            return hosts.of(self._libvirt, self._address)

    def _pid_file(self, name: str) -> Path | None:
        return embedded.pid_file(self.root, name) if self.is_embedded else None


def default_uri() -> str | None:
    """What LIBVIRT_DEFAULT_URI names; None is the embedded libvirt."""
    return os.environ.get("LIBVIRT_DEFAULT_URI") or None


# libvirt registers its drivers anew each time that it is embedded, and has room for some twenty: so
# a process embeds it once, and keeps it.
_kept: dict[str, Any] = {}


def _opened(address: str, patience_seconds: float = 0.0) -> Any:
    """Open libvirt; with patience, wait for a daemon that is being started again."""
    if address in _kept and _kept[address].isAlive():
        return _kept[address]
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            handle = libvirt.open(address)
        except libvirt.libvirtError as error:
            if time.monotonic() >= give_up:
                raise MachineError(sentence(f"Can't open libvirt at {address}", error)) from error
            time.sleep(_RETRY_SECONDS)
            continue
        with suppress(libvirt.libvirtError):  # the embedded one has nobody to keep in touch with
            handle.setKeepAlive(*_KEEPALIVE)
        if hosts.is_embedded(address):
            _kept[address] = handle
        return handle


@functools.cache
def _run_event_loop() -> None:
    """Start libvirt's event loop in a thread, once a process; its complaints come as exceptions."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_event_loop, name="libvirt events", daemon=True).start()


def _event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()

"""Connection to a libvirt: its QEMU driver embedded in this process by default, or any URI."""

from __future__ import annotations

import functools
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms import hosts, paths
from vms.connection import embedded, event_loop
from vms.connection.start import Launch, start
from vms.description import CONSOLE, NVRAM, Accelerator, LibvirtNetwork, Machine, domain_xml
from vms.description.domain_xml import remove_monitor
from vms.description.xml import printed
from vms.domain import mac_addresses, port_forwarding
from vms.domain.domain import Domain, Place
from vms.domain.images import frozen_images_of
from vms.errors import (
    AlreadyExists,
    InUse,
    InvalidDescription,
    MachineError,
    Unavailable,
)
from vms.libvirt_errors import translate_errors, translated
from vms.qemu import acceleration
from vms.qemu.reaper import adopting_qemu_of
from vms.storage import readers
from vms.storage.backing_file_policy import DiskFile, disk_files, refuse_unsafe
from vms.storage.readers import is_golden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from vms.description import Cdrom, Disk
    from vms.domain.ports import Ports
    from vms.qemu.early_resume import Origin

_REOPEN_SECONDS = 10.0
_RETRY_SECONDS = 0.2
# A daemon that leaves three messages unanswered, 5 s apart, is lost. (virConnectSetKeepAlive)
_KEEPALIVE = (5, 3)
_KVM, _VSOCK = Path("/dev/kvm"), Path("/dev/vhost-vsock")


class Connection:
    """An open connection to libvirt, and the machines that it has started."""

    def __init__(
        self, root: Path, uri: str | None = None, image_directories: Sequence[Path] = ()
    ) -> None:
        self.is_embedded = uri is None
        self.root = root
        self._image_directories = tuple(image_directories) or (paths.images(),)
        self._address = embedded.prepare(root) if uri is None else uri
        event_loop.run()
        self._libvirt = _opened(self._address)
        with translate_errors(f"Can't tell which host {self._address} leads to"):
            self.host = hosts.of(self._libvirt, self._address)
        self._place = Place(self.host, root if uri is None else None, self._image_directories)
        self.sockets = root / embedded.SOCKETS
        self.sockets.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, Domain] = {}

    @classmethod
    @contextmanager
    def open(
        cls, root: Path, uri: str | None = None, image_directories: Sequence[Path] = ()
    ) -> Iterator[Connection]:
        """Open libvirt: embedded below `root`, or at `uri`, with only our sockets below `root`.

        Machines that still run when the block ends are destroyed. A process has one embedded
        libvirt; a second root is refused. Backing files of disks may only be in the image
        directories, by default in the image store. Raise MachineError, also at the end if a machine
        could not be destroyed.
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
        """The address that was opened."""
        return self._address

    @property
    def is_local(self) -> bool:
        """True if libvirt is on this host."""
        return self.host.is_here

    @property
    def handle(self) -> Any:
        """libvirt's own connection, reopened if it was lost. Raise MachineError."""
        if not self._libvirt.isAlive():
            lost, self._libvirt = self._libvirt, _opened(self._address, _REOPEN_SECONDS)
            with suppress(libvirt.libvirtError):
                lost.close()
            for domain in self.running():  # their handles belonged to the lost connection
                with suppress(libvirt.libvirtError):
                    domain.handle = self._libvirt.lookupByName(domain.name)
        return self._libvirt

    def probe(self) -> None:
        """Make libvirt query its QEMU now, so that the first start does not wait for it."""
        with suppress(libvirt.libvirtError):
            self.handle.getDomainCapabilities(None, "x86_64", "q35", "qemu", 0)

    # ---- checks before anything is made

    def check(self, machine: Machine) -> None:
        """Raise MachineError for a machine that can't run here."""
        machine.check(self.host)
        for disk in machine.disks:
            self.check_disk(disk)
        for drive in machine.cdroms:
            self.check_medium(drive)
        self._check_support(machine)
        addresses = [card.mac for card in machine.networks if card.mac]
        mac_addresses.refuse_taken(self.handle, machine.name, addresses)

    def check_disk(self, disk: Disk) -> None:
        """Raise MachineError for a disk that no machine may have."""
        if self.is_local:
            self._refuse_unsafe(DiskFile(disk.path, disk.format, not disk.read_only))

    def check_medium(self, drive: Cdrom) -> None:
        """Raise MachineError for a medium that no drive may have."""
        if self.is_local and drive.medium:
            refuse_unsafe(drive.medium, "raw", self._image_directories)

    def refuse_unsafe_disks(self, description: ET.Element, bases: Collection[Path] = ()) -> None:
        """Raise MachineError for an unsafe disk in domain XML.

        Backing files may also be among the `bases`.
        """
        if not self.is_local:
            return
        for disk in disk_files(description):
            self._refuse_unsafe(disk, bases)

    def _refuse_unsafe(self, disk: DiskFile, bases: Collection[Path] = ()) -> None:
        refuse_unsafe(disk.path, disk.format, self._image_directories, bases)
        if disk.is_written and is_golden(disk.path):
            raise InUse(
                f"{disk.path} is an image of the store, which other disks read from: give the"
                " machine a clone of it."
            )

    def _check_support(self, machine: Machine) -> None:
        """Raise for features that this host or this libvirt lacks."""
        if self.is_local and machine.accelerator is Accelerator.KVM and not _KVM.exists():
            raise Unavailable(
                f"{machine.name}: accelerator is kvm, but this host has no {_KVM}: use tcg, which"
                " emulates."
            )
        if self.is_local and machine.vsock and not _VSOCK.exists():
            raise Unavailable(
                f"{machine.name}: vsock needs {_VSOCK} on the host: modprobe vhost_vsock."
            )
        if self.is_embedded and any(isinstance(n, LibvirtNetwork) for n in machine.networks):
            raise Unavailable(
                f"{machine.name}: networks names a libvirt network, but the embedded libvirt has"
                " none: use --connect qemu:///system."
            )
        if not self.is_embedded and not machine.memory.transparent_huge_pages:
            raise InvalidDescription(
                f"{machine.name}: memory.transparent_huge_pages can be switched off only with the"
                " embedded libvirt."
            )

    # ---- machines

    def start(
        self,
        machine: Machine,
        origin: Origin | None = None,
        on_running: Callable[[Ports], object] = lambda _: None,
    ) -> Domain:
        """Start a transient machine, which no longer exists once it stops.

        Its ports are connected before its first instruction, so that no output is lost. `origin` is
        a state to begin from instead of a cold boot. With the embedded libvirt the guest runs
        before libvirt has completed the start; `on_running` is called meanwhile, in another thread.
        Raise MachineError, and then leave nothing behind.
        """
        self.check(machine)
        if machine.name in self._running:
            raise AlreadyExists(f"A machine {machine.name} runs already: choose another name.")
        launch = Launch(
            connection=self.handle,
            place=self._place,
            machine=machine,
            paths=self.paths_of(machine) if self.is_local else {},
            monitor_path=self.sockets / f"{machine.name}.q",
            broken_features=self._broken_features(machine),
            on_running=on_running,
        )
        domain = self._running[machine.name] = start(launch, origin)
        domain.on_gone = functools.partial(self._running.pop, machine.name, None)
        return domain

    def define(self, machine: Machine) -> Domain:
        """Define a machine, which libvirt keeps until it is undefined; do not start it.

        A daemon, which outlives this process, chooses the sockets of its ports. Raise MachineError.
        """
        self.check(machine)
        port_forwarding.refuse_kept(machine)
        media = (drive.medium for drive in machine.cdroms if drive.medium)
        files = (*(disk.path for disk in machine.disks), *media)
        return self._define(
            self.xml(machine, self.paths_of(machine) if self.is_embedded else {}), files
        )

    def define_xml(self, xml: str) -> Domain:
        """Define a machine from domain XML. Raise MachineError."""
        return self._define(xml, (disk.path for disk in disk_files(ET.fromstring(xml))))

    def _define(self, xml: str, files: Iterable[Path]) -> Domain:
        with translate_errors("Can't define the machine"):
            handle = self.handle.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        if self.is_local:
            for path in files:
                readers.note(path)
        return Domain.of(handle, self._place)

    def find(self, name: str) -> Domain:
        """Return the machine of that name, running or not. Raise NotFound."""
        with translate_errors(f"There is no machine {name} here"):
            return Domain.of(self.handle.lookupByName(name), self._place)

    def domains(self) -> list[Domain]:
        """Return all machines that libvirt has, by name. Raise MachineError."""
        with translate_errors("Can't list the machines"):
            domains = [Domain.of(handle, self._place) for handle in self.handle.listAllDomains()]
        return sorted(domains, key=lambda domain: domain.name)

    def restore(self, path: Path) -> Domain:
        """Continue a machine whose memory was saved to a file. Raise MachineError.

        Its disks are checked as for a start. If this process started the machine, its ports are
        forwarded again.
        """
        with translate_errors(f"Can't restore {path}"):
            secure = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
            description = ET.fromstring(self.handle.saveImageGetXMLDesc(str(path), secure))
        name = description.findtext("name", "")
        known = [domain for domain in self.domains() if domain.name == name]
        bases = [base for domain in known for base in frozen_images_of(domain)]
        self.refuse_unsafe_disks(description, bases)
        remove_monitor(description)
        with (
            translate_errors(f"Can't restore {path}"),
            adopting_qemu_of(embedded=self.is_embedded),
        ):
            self.handle.restoreFlags(str(path), printed(description))
        domain = self.find(name)
        domain.reap()
        if (started := self._running.get(name)) and started.machine:
            domain.forward(started.machine)
        return domain

    def paths_of(self, machine: Machine) -> dict[str, Path]:
        """Return the sockets of a machine's console and channels, and its variables' file."""
        names = (CONSOLE, *machine.channels, NVRAM)
        return {name: self.sockets / f"{machine.name}.{n}" for n, name in enumerate(names)}

    def xml(self, machine: Machine, paths: dict[str, Path]) -> str:
        """Return the domain XML of a machine on this connection's host."""
        return domain_xml(machine, paths, self._broken_features(machine))

    def _broken_features(self, machine: Machine) -> Sequence[str]:
        kvm = machine.accelerator is Accelerator.KVM
        return acceleration.broken_features() if kvm and self.is_local else ()

    def running(self) -> list[Domain]:
        """Return the machines that this connection started and that are not yet destroyed."""
        return list(self._running.values())

    def destroy_all(self) -> None:
        """Destroy those machines. Raise MachineError after all have been tried."""
        with ExitStack() as stack:
            for domain in self.running():
                stack.callback(domain.destroy)
            if self._running and not self.is_embedded:
                with suppress(MachineError):
                    _ = self.handle  # renews the machines' handles if the connection was lost

    def close(self) -> None:
        """Close the connection; machines run on, except those of an embedded libvirt."""
        if self._address in _embedded:
            return
        with suppress(libvirt.libvirtError):
            self._libvirt.close()


def default_uri() -> str | None:
    """Return the address in LIBVIRT_DEFAULT_URI; None stands for the embedded libvirt."""
    return os.environ.get("LIBVIRT_DEFAULT_URI") or None


# The open embedded libvirt, by its address. Each time that libvirt is embedded it registers its
# drivers anew, and it has room for some twenty: so a process embeds it once.
_embedded: dict[str, Any] = {}


def _opened(address: str, patience_seconds: float = 0.0) -> Any:
    """Return libvirt's connection; retry for a while, for a daemon that is being restarted."""
    if address in _embedded and _embedded[address].isAlive():
        return _embedded[address]
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            handle = libvirt.open(address)
        except libvirt.libvirtError as error:
            if time.monotonic() >= deadline:
                raise translated(f"Can't open libvirt at {address}", error) from error
            time.sleep(_RETRY_SECONDS)
            continue
        with suppress(libvirt.libvirtError):  # an embedded libvirt has no keepalive
            handle.setKeepAlive(*_KEEPALIVE)
        if hosts.is_embedded(address):
            _embedded[address] = handle
        return handle

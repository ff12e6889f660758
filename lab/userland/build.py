"""One user land, three ways: the container's image, the machine's disk, the native tree.

A Debian minbase root file system is built once and wrapped three times, so that a comparison is of
the wrapping and not of the contents. Everything lies in one cache folder; each part's directory
carries the digest of its inputs in its name, is built aside and renamed into place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from vms.guest.program import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vms.boot.kernel import Kernel

WORKLOADS = Path(__file__).parents[1] / "workloads"
PYTHON_IN_TREE = "/usr/lib/tonnage/python"  # workloads name it
PYPI = "pypi:"  # before the name and version of a package that is not Debian's
PAYLOAD_IN_TREE = "/usr/lib/tonnage/payload"
DISK_BYTES = 2 << 30
CACHE_VARIABLE = "TONNAGE_CACHE"

# What the workloads of every run need.
_TOOLS = ("fio", "openssl", "xz-utils")
_MACHINE_PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "qemu-guest-agent")
# The machine's disk and network, what its console, events and agent go through, its balloon and
# its power button.
MODULES = (
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio_balloon",
    "button",
    "evdev",
    "ext4",
)
# Of a machine that somebody works in: directories of the host, CD images, virtio-scsi's disks. What
# is measured does without them, since each takes time and memory at every boot.
_WORKING_MODULES = ("isofs", "sr_mod", "virtio_scsi")
# What serves a directory of the host, where the kernel has it: Debian's cloud kernel has no 9p.
_SHARE_MODULES = {"virtiofs": ("virtiofs",), "9p": ("9p", "9pnet_virtio")}
# The units that every machine starts; the others are there for a word of the kernel's.
_WANTED_UNITS = ("tonnage-agent.service", "tonnage-userspace.service")
_COMPILE = ("gcc", "-std=gnu17", "-O2", "-static", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True, slots=True)
class Userland:
    """Where the parts lie; all are read-only to their users."""

    payload: Path
    tree: Path
    image: Path
    disk: Path
    shipped_disk: Path
    kernel: Path
    initramfs: Path


def cache_directory() -> Path:
    """Where built things are kept: $TONNAGE_CACHE, else /var/cache/tonnage or the user's cache."""
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/tonnage")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tonnage"


def build(progress: Callable[[str], None], packages: Iterable[str] = ()) -> Userland:
    """Build what is missing and return where everything lies.

    With `packages` that the basic user land does not have, it is a second one beside it. `progress`
    is told what is being waited for. Raises LabError with what could not be built.
    """
    payload = build_payload(progress)
    tree = _tree(payload, progress, sorted(set(packages) - set(_TOOLS)))
    kernel, initramfs = _machine(payload, progress)
    disk = _disk(tree, progress)
    return Userland(
        payload=payload,
        tree=tree,
        image=_image(tree, progress),
        disk=disk,
        shipped_disk=_shipped_disk(disk, progress),
        kernel=kernel,
        initramfs=initramfs,
    )


def build_tree(progress: Callable[[str], None]) -> Path:
    """The basic user land's tree alone, which is all that a container needs.

    Raises LabError.
    """
    return _tree(build_payload(progress), progress)


def probe_machine(progress: Callable[[str], None]) -> tuple[Path, Path]:
    """Kernel and initramfs of the smallest machine, whose init is the payload.

    Raises LabError.
    """
    return _machine(build_payload(progress), progress)


def working_machine(progress: Callable[[str], None]) -> tuple[Path, tuple[str, ...]]:
    """The initramfs of a machine that somebody works in, and the kinds of share that it mounts.

    Raises LabError, MachineError.
    """
    from vms.boot import kernel

    payload = build_payload(progress)
    found = kernel.fetch(cache_directory() / "kernel")
    known = kernel.module_names(found)
    shares = tuple(kind for kind, needed in _SHARE_MODULES.items() if known.issuperset(needed))
    modules = (*MODULES, *_WORKING_MODULES, *(m for kind in shares for m in _SHARE_MODULES[kind]))
    return _initramfs(payload, found, modules, progress), shares


def uncompressed(vmlinuz: Path, progress: Callable[[str], None] = lambda _: None) -> Path:
    """The ELF image inside of a guest's kernel, unpacked once. Raises LabError, MachineError."""
    from vms.boot import kernel

    with _part("vmlinux", _digest(vmlinuz.read_bytes())) as (directory, aside):
        if aside:
            progress("unpacking the guest kernel")
            kernel.uncompress(vmlinuz, aside / "vmlinux")
    return directory / "vmlinux"


def build_payload(progress: Callable[[str], None]) -> Path:
    """The payload alone. Raises LabError."""
    source = SOURCES / "payload.c"
    key = _digest(source.read_bytes(), *_COMPILE, platform.machine())
    with _part("payload", key) as (directory, aside):
        if aside:
            progress("compiling the payload")
            _command([*_COMPILE, "-o", str(aside / "payload"), str(source)], "gcc")
    return directory / "payload"


def _tree(payload: Path, progress: Callable[[str], None], more: Sequence[str] = ()) -> Path:
    suite = debian_suite()
    python = [name.removeprefix(PYPI) for name in more if name.startswith(PYPI)]
    debian = [name for name in more if not name.startswith(PYPI)]
    packages = ",".join((*_MACHINE_PACKAGES, *_TOOLS, *debian))
    guest = sorted((WORKLOADS / "guest").iterdir())
    key = _digest(
        suite,
        packages,
        payload.parent.name,
        *(path.read_bytes() for path in guest),
        _CUSTOMIZE,
        *python,
    )
    with _part("tree", key) as (directory, aside):
        if aside:
            _require_root("build a root file system")
            what = f" with {', '.join(more)}" if more else ""
            progress(f"building a Debian {suite} root file system{what}")
            _command(
                [
                    "mmdebstrap",
                    "--quiet",
                    "--variant=minbase",
                    f"--include={packages}",
                    "--dpkgopt=path-exclude=/usr/share/man/*",
                    "--dpkgopt=path-exclude=/usr/share/doc/*",
                    "--dpkgopt=path-exclude=/usr/share/locale/*",
                    suite,
                    str(aside / "root"),
                ],
                "mmdebstrap",
            )
            if python:
                _install_python(aside / "root", python)
            if more:
                _forget_services(aside / "root")
            _customize(aside / "root", payload)
    return directory / "root"


_CUSTOMIZE = "2"  # counts changes to _customize


def _customize(root: Path, payload: Path) -> None:
    """Put the payload in, and what a machine of it needs to come up unattended."""
    inside = root / PAYLOAD_IN_TREE.lstrip("/")
    inside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(payload, inside)
    units = root / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    for unit in sorted((WORKLOADS / "guest").iterdir()):
        shutil.copy(unit, units / unit.name)
    for name in _WANTED_UNITS:
        (wants / name).symlink_to(f"/etc/systemd/system/{name}")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    # A login prompt on ttyS0 would hang up the line on which the payload announces itself.
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/hostname").write_text("tonnage\n")
    # Not a first boot: systemd would ask for a locale on the console.
    (root / "etc/machine-id").write_text(hashlib.md5(b"tonnage").hexdigest() + "\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")


def _forget_services(root: Path) -> None:
    """Let no package's server or timer start by itself: a workload starts what it needs."""
    for wants in (root / "etc/systemd/system").glob("*.wants"):
        shutil.rmtree(wants)


def _install_python(root: Path, packages: Sequence[str]) -> None:
    """Install packages of PyPI, as they are pinned and without what they would bring along."""
    _command(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-compile", "--only-binary=:all:",
         "--target", str(root / PYTHON_IN_TREE.lstrip("/")), *packages],
        "python3-pip",
    )  # fmt: skip


def versions(tree: Path, packages: Iterable[str]) -> dict[str, str]:
    """Which version of each package the tree has; what it does not have is left out. (dpkg(1))"""
    found = {}
    for paragraph in (tree / "var/lib/dpkg/status").read_text("utf-8", "replace").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines())
        found[fields.get("Package", "")] = fields.get("Version", "")
    return {name: found[name] for name in packages if name in found}


def _image(tree: Path, progress: Callable[[str], None]) -> Path:
    """The tree as an image layer, compressed as registries ship it: tar and gzip."""
    with _part("image", _digest(tree.parent.name)) as (directory, aside):
        if aside:
            progress("compressing the container image")
            target = aside / "layer.tar.gz"
            # --sort and --mtime are left alone: the tree is built once and its digest is recorded.
            _command(
                ["tar", "--numeric-owner", "--xattrs", "-C", str(tree), "-czf", str(target), "."],
                "tar",
            )
    return directory / "layer.tar.gz"


def unpack(image: Path, directory: Path) -> None:
    """Unpack an image layer into a directory that is there. Raises LabError."""
    _command(
        ["tar", "--numeric-owner", "--xattrs", "-C", str(directory), "-xzf", str(image)], "tar"
    )


def _disk(tree: Path, progress: Callable[[str], None]) -> Path:
    from vms.storage import disks

    with _part("disk", _digest(tree.parent.name, str(DISK_BYTES))) as (directory, aside):
        if aside:
            progress("making the machine's disk")
            disks.build_disk(tree, aside / "base.qcow2", DISK_BYTES)
    return directory / "base.qcow2"


def _shipped_disk(disk: Path, progress: Callable[[str], None]) -> Path:
    """The disk compressed inside its qcow2 file, as cloud images are shipped."""
    from vms.storage import disks

    with _part("shipped-disk", _digest(disk.parent.name)) as (directory, aside):
        if aside:
            progress("compressing the machine's disk")
            disks.compress(disk, aside / "base.qcow2")
    return directory / "base.qcow2"


def _machine(payload: Path, progress: Callable[[str], None]) -> tuple[Path, Path]:
    from vms.boot import kernel

    cache = cache_directory() / "kernel"
    if not cache.is_dir():
        progress("fetching the guest kernel")
    found = kernel.fetch(cache)
    return found.vmlinuz, _initramfs(payload, found, MODULES, progress)


def _initramfs(
    payload: Path, found: Kernel, modules: Sequence[str], progress: Callable[[str], None]
) -> Path:
    from vms.boot import kernel

    key = _digest(payload.parent.name, found.release, *modules)
    with _part("initramfs", key) as (directory, aside):
        if aside:
            progress("making the initramfs")
            kernel.build_initramfs(aside / "initramfs.cpio", payload, found, modules)
    return directory / "initramfs.cpio"


def debian_suite() -> str:
    """The host's own Debian suite, whose mirror is known to be configured; else bookworm."""
    release = platform.freedesktop_os_release()
    if release.get("ID") == "debian" and "VERSION_CODENAME" in release:
        return release["VERSION_CODENAME"]
    return "bookworm"


def allocated_bytes(path: Path) -> int:
    """What a file or a directory tree takes on disk: allocated blocks, each inode once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    stack = [path]
    while stack:
        current = stack.pop()
        status = current.lstat()
        inode = (status.st_dev, status.st_ino)
        if inode in seen:
            continue
        seen.add(inode)
        total += status.st_blocks * 512
        if current.is_dir() and not current.is_symlink():
            stack.extend(current.iterdir())
    return total


@contextmanager
def _part(name: str, key: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield where a part belongs and, if it has yet to be built, the folder to build it in.

    The folder is renamed into place when the block ends well, and removed when it does not. Of two
    processes that want the same part, the second waits for the first.
    """
    directory = cache_directory() / f"{name}-{key}"
    if directory.is_dir():
        yield directory, None
        return
    aside = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        with _building(directory.parent):
            if directory.is_dir():
                yield directory, None
                return
            aside.mkdir(parents=True)
            yield directory, aside
            aside.rename(directory)
    except OSError as error:
        raise LabError(f"Can't build {name} in {directory.parent}: {error.strerror}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _building(cache: Path) -> Iterator[None]:
    """Be the only process that builds a part in this cache. (flock(2): it dies with its holder)"""
    cache.mkdir(parents=True, exist_ok=True)
    held = os.open(cache, os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _digest(*inputs: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in inputs:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:16]


def _command(argv: Sequence[str], package: str) -> None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is missing: apt-get install {package}.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"{argv[0]} failed: {said[-1] if said else f'exit {done.returncode}'}.")


def _require_root(what: str) -> None:
    if os.geteuid() != 0:
        raise LabError(f"Only root can {what}: run this with sudo.")

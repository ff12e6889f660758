"""A guest kernel from Debian's cloud package, unpacked and not installed, and its initramfs."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vms.boot import cpio
from vms.description.boot_source import DirectKernel
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE = "linux-image-cloud-amd64"
# With no files for its trace points (8.7 MB of inodes), and each CPU's variables in small pages
# (3.8 MB less).
_FRUGAL_WORDS = "initcall_blacklist=tracer_init_tracefs percpu_alloc=page"
_FRUGAL_MODULES = ("virtio_mmio", "virtio_console")
_LANGUAGE = {"LC_ALL": "C"}  # what apt prints is read
_ELF = b"\x7fELF"
_MAGIC_AT, _MAGIC = 0x202, b"HdrS"
_SETUP_SECTORS_AT, _PAYLOAD_AT, _PAYLOAD = 0x1F1, 0x248, struct.Struct("<II")
_PROGRAMS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel image, its release, and the directory of its modules."""

    vmlinuz: Path
    release: str
    modules: Path


def fetch(cache: Path) -> Kernel:
    """The kernel that Debian's cloud package depends on, from the cache or from apt.

    Raises MachineError if it can't be had.
    """
    found = _find(cache)
    if found:
        return found
    aside = cache.with_name(f".{cache.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        _run(["apt-get", "download", "-qq", _concrete_package()], cwd=aside)
        (package,) = aside.glob("*.deb")
        _run(["dpkg-deb", "-x", str(package), str(aside)])
        package.unlink()
        aside.rename(cache)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    unpacked = _find(cache)
    if not unpacked:
        raise MachineError(f"The kernel package holds no kernel: look into {cache}.")
    return unpacked


def build_initramfs(destination: Path, init: Path, kernel: Kernel, modules: Sequence[str]) -> None:
    """An initramfs with `init` as /init, and the modules with what they depend on.

    /modules.load names their files in the order in which they must be loaded; what is built into
    the kernel is left out. Raises MachineError for a module that the kernel has not.
    """
    available, builtin = _files(kernel), _builtin(kernel)
    loaded: dict[str, bytes] = {}
    for name in modules:
        _load(name, available, builtin, loaded)
    with destination.open("wb") as file:
        archive = cpio.Writer(file)
        archive.directory("dev")
        archive.device("dev/console", 5, 1)
        archive.file("init", init.read_bytes(), mode=0o755)
        archive.directory("modules")
        for name, content in loaded.items():
            archive.file(f"modules/{name}.ko", content)
        order = "".join(f"/modules/{name}.ko\n" for name in loaded)
        archive.file("modules.load", order.encode())
        archive.end()


def module_names(kernel: Kernel) -> set[str]:
    """The modules that a kernel has, as files or built into it."""
    return {*_files(kernel), *_builtin(kernel)}


def _files(kernel: Kernel) -> dict[str, Path]:
    return {path.name.partition(".")[0].replace("-", "_"): path
            for path in kernel.modules.rglob("*.ko*")}  # fmt: skip


def _builtin(kernel: Kernel) -> set[str]:
    return {
        Path(line).name.removesuffix(".ko").replace("-", "_")
        for line in (kernel.modules / "modules.builtin").read_text().split()
    }


def build_frugal(directory: Path, init: Path, kernel: Kernel, words: str) -> DirectKernel:
    """What a microvm of 64 MiB boots, whose `init` uses one channel and nothing else.

    The kernel is unpacked here, since in so little it can't unpack itself. Both files are made in
    `directory`; `words` are the command line's others. Raises MachineError.
    """
    vmlinux, initramfs = directory / "vmlinux", directory / "initramfs.cpio"
    uncompress(kernel.vmlinuz, vmlinux)
    build_initramfs(initramfs, init, kernel, _FRUGAL_MODULES)
    return DirectKernel(vmlinux, initramfs, f"{_FRUGAL_WORDS} {words}")


def is_uncompressed(image: Path) -> bool:
    """Return True for an ELF image, which a VMM boots by its PVH entry. Raises MachineError."""
    try:
        with image.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError as error:
        raise MachineError(f"Can't read {image}: {error.strerror}.") from error


def uncompress(vmlinuz: Path, destination: Path) -> None:
    """The ELF image inside of a compressed one, for a VMM that unpacks nothing.

    Raises MachineError. (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset)
    """
    image = vmlinuz.read_bytes()
    if image[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise MachineError(f"{vmlinuz} is no Linux kernel for x86.")
    offset, length = _PAYLOAD.unpack_from(image, _PAYLOAD_AT)
    begin = ((image[_SETUP_SECTORS_AT] or 4) + 1) * 512 + offset
    payload = image[begin : begin + length]
    program = next((name for sign, name in _PROGRAMS.items() if payload.startswith(sign)), "")
    if not program:
        raise MachineError(f"{vmlinuz} is compressed in a way that is not known.")
    if program != "gzip":  # whose own end is the size; behind the others it was put
        payload = payload[:-4]
    with destination.open("wb") as file:
        try:
            done = subprocess.run(
                [program, "-d", "-c"],
                input=payload,
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
            )
        except FileNotFoundError as error:
            raise MachineError(f"{program} is missing: apt-get install {program}.") from error
    if done.returncode or not is_uncompressed(destination):
        raise MachineError(f"{vmlinuz} could not be unpacked by {program}.")


def _load(
    name: str, available: dict[str, Path], builtin: set[str], loaded: dict[str, bytes]
) -> None:
    """Add a module behind what it depends on."""
    if name in loaded or name in builtin:
        return
    if name not in available:
        raise MachineError(f"The guest kernel has no module {name}.")
    content = _content(available[name])
    for dependency in _dependencies(content):
        _load(dependency, available, builtin, loaded)
    loaded[name] = content


def _dependencies(module: bytes) -> Iterator[str]:
    """What the module's own .modinfo says: the package has no modules.dep until it is installed."""
    if found := _DEPENDS.search(module):
        yield from (name.replace("-", "_") for name in found[1].decode().split(",") if name)


def _content(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        raise MachineError(f"{path.name} is compressed with zstd, which this can't read.")
    return path.read_bytes()


def _find(cache: Path) -> Kernel | None:
    for vmlinuz in sorted(cache.glob("boot/vmlinuz-*")):
        release = vmlinuz.name.partition("-")[2]
        for modules in (cache / "lib/modules" / release, cache / "usr/lib/modules" / release):
            if modules.is_dir():
                return Kernel(vmlinuz, release, modules)
    return None


def _concrete_package() -> str:
    """The package with the kernel in it, on which the one with the constant name depends."""
    said = _run(["apt-cache", "depends", PACKAGE])
    for line in said.splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise MachineError(f"apt has no {PACKAGE}: run apt-get update, or add a Debian mirror.")


def _run(argv: Sequence[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **_LANGUAGE},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise MachineError(f"{argv[0]} is missing: this is no Debian-like host.") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MachineError(f"{argv[0]} failed: {said[-1] if said else done.returncode}.")
    return done.stdout

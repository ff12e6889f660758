"""Initramfs images: an init program, and kernel modules in the order in which they are loaded."""

from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path
from typing import TYPE_CHECKING

from vms.boot import cpio
from vms.boot.kernel import uncompress
from vms.description.boot_source import DirectKernel
from vms.errors import InvalidImage, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vms.boot.kernel import Kernel

# Without the files of its trace points (8.7 MB of inodes), and with each CPU's variables in small
# pages (3.8 MB less).
_FRUGAL_WORDS = "initcall_blacklist=tracer_init_tracefs percpu_alloc=page"
_FRUGAL_MODULES = ("virtio_mmio", "virtio_console")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def build_initramfs(destination: Path, init: Path, kernel: Kernel, modules: Sequence[str]) -> None:
    """Write an initramfs with `init` as /init, and with the modules and their dependencies.

    Its file /modules.load names the modules' files in the order in which they must be loaded.
    Modules that are built into the kernel are left out. Raises MachineError for a module that the
    kernel does not have.
    """
    available, builtin = _module_files(kernel), _builtin_modules(kernel)
    contents: dict[str, bytes] = {}
    for name in modules:
        _add_module(name, available, builtin, contents)
    with destination.open("wb") as file:
        archive = cpio.Writer(file)
        archive.directory("dev")
        archive.device("dev/console", 5, 1)
        archive.file("init", init.read_bytes(), mode=0o755)
        archive.directory("modules")
        for name, content in contents.items():
            archive.file(f"modules/{name}.ko", content)
        order = "".join(f"/modules/{name}.ko\n" for name in contents)
        archive.file("modules.load", order.encode())
        archive.end()


def build_frugal(directory: Path, init: Path, kernel: Kernel, words: str) -> DirectKernel:
    """Write kernel and initramfs of a microvm of 64 MiB, whose `init` uses one virtio channel.

    The kernel is unpacked on the host, since it can't unpack itself in so little memory. Both files
    are written to `directory`; `words` are added to the kernel command line. Raises MachineError.
    """
    vmlinux, initramfs = directory / "vmlinux", directory / "initramfs.cpio"
    uncompress(kernel.vmlinuz, vmlinux)
    build_initramfs(initramfs, init, kernel, _FRUGAL_MODULES)
    return DirectKernel(vmlinux, initramfs, f"{_FRUGAL_WORDS} {words}")


def module_names(kernel: Kernel) -> set[str]:
    """Return the names of a kernel's modules, those in files and those built in."""
    return {*_module_files(kernel), *_builtin_modules(kernel)}


def _module_files(kernel: Kernel) -> dict[str, Path]:
    return {path.name.partition(".")[0].replace("-", "_"): path
            for path in kernel.modules.rglob("*.ko*")}  # fmt: skip


def _builtin_modules(kernel: Kernel) -> set[str]:
    return {
        Path(line).name.removesuffix(".ko").replace("-", "_")
        for line in (kernel.modules / "modules.builtin").read_text().split()
    }


def _add_module(
    name: str, available: dict[str, Path], builtin: set[str], contents: dict[str, bytes]
) -> None:
    """Add a module after its dependencies."""
    if name in contents or name in builtin:
        return
    if name not in available:
        raise NotFound(f"The guest kernel has no module {name}.")
    content = _content(available[name])
    for dependency in _dependencies(content):
        _add_module(dependency, available, builtin, contents)
    contents[name] = content


def _dependencies(module: bytes) -> Iterator[str]:
    """Yield the dependencies that the .modinfo section of a module names.

    A package that is not installed has no modules.dep.
    """
    if match := _DEPENDS.search(module):
        yield from (name.replace("-", "_") for name in match[1].decode().split(",") if name)


def _content(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        raise InvalidImage(
            f"The kernel module {path} is compressed with zstd, which is not supported: unpack it"
            " (unzstd)."
        )
    return path.read_bytes()

"""A guest kernel from Debian's cloud package, unpacked without being installed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from vms.errors import InvalidImage, NotFound, Unavailable, os_error

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "linux-image-cloud-amd64"
_C_LOCALE = {"LC_ALL": "C"}  # the output of apt-cache is parsed
_ELF = b"\x7fELF"
_MAGIC_AT, _MAGIC = 0x202, b"HdrS"
_SETUP_SECTORS_AT, _PAYLOAD_AT, _PAYLOAD = 0x1F1, 0x248, struct.Struct("<II")
# Programs that unpack a kernel's payload, by its first bytes.
_PROGRAMS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel image, its release, and the directory of its modules."""

    vmlinuz: Path
    release: str
    modules: Path


def fetch(cache: Path) -> Kernel:
    """Return the kernel of Debian's cloud package, from the cache directory or from apt.

    Raises MachineError.
    """
    if cached := _find(cache):
        return cached
    cache.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(mkdtemp(prefix=f".{cache.name}.", dir=cache.parent))
    try:
        _run(["apt-get", "download", "-qq", _concrete_package()], cwd=staging)
        (package,) = staging.glob("*.deb")
        _run(["dpkg-deb", "-x", str(package), str(staging)])
        package.unlink()
        staging.chmod(0o755)
        try:
            staging.rename(cache)
        except OSError:
            if not _find(cache):  # else another process was faster
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    unpacked = _find(cache)
    if not unpacked:
        raise NotFound(f"The package {PACKAGE} contains no kernel with modules: look into {cache}.")
    return unpacked


def is_uncompressed(image: Path) -> bool:
    """Return True for an ELF image, which a VMM boots by its PVH entry. Raises MachineError."""
    try:
        with image.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError as error:
        raise os_error(f"Can't read {image}", error) from error


def uncompress(vmlinuz: Path, destination: Path) -> None:
    """Write the ELF image inside a compressed kernel, for a VMM that unpacks no kernel.

    Raises MachineError. (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset)
    """
    image = vmlinuz.read_bytes()
    if image[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise InvalidImage(
            f"{vmlinuz} is not a Linux kernel for x86: name a vmlinuz file or an ELF image."
        )
    offset, length = _PAYLOAD.unpack_from(image, _PAYLOAD_AT)
    begin = ((image[_SETUP_SECTORS_AT] or 4) + 1) * 512 + offset
    payload = image[begin : begin + length]
    program = next((name for magic, name in _PROGRAMS.items() if payload.startswith(magic)), "")
    if not program:
        raise InvalidImage(
            f"{vmlinuz} is compressed in an unknown format: use a kernel that is compressed with"
            f" {', '.join(_PROGRAMS.values())}."
        )
    if program != "gzip":
        # The kernel's build appends the size to the payload; gzip ends with the size by itself.
        payload = payload[:-4]
    with destination.open("wb") as file:
        try:
            result = subprocess.run(
                [program, "-d", "-c"],
                input=payload,
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
            )
        except FileNotFoundError as error:
            raise Unavailable(f"{program} is missing: apt-get install {program}.") from error
    if result.returncode or not is_uncompressed(destination):
        raise InvalidImage(f"{program} can't unpack {vmlinuz}: the kernel image is damaged.")


def _find(cache: Path) -> Kernel | None:
    for vmlinuz in sorted(cache.glob("boot/vmlinuz-*")):
        release = vmlinuz.name.partition("-")[2]
        for modules in (cache / "lib/modules" / release, cache / "usr/lib/modules" / release):
            if modules.is_dir():
                return Kernel(vmlinuz, release, modules)
    return None


def _concrete_package() -> str:
    """Return the package that contains the kernel; the package of constant name depends on it."""
    for line in _run(["apt-cache", "depends", PACKAGE]).splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise NotFound(f"apt has no package {PACKAGE}: run apt-get update, or add a Debian mirror.")


def _run(argv: Sequence[str], cwd: Path | None = None) -> str:
    """Run a program and return its stdout. Raises Unavailable."""
    try:
        result = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **_C_LOCALE},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable(
            f"{argv[0]} is missing: the guest kernel comes from a Debian package, which needs a"
            " Debian-like host."
        ) from error
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise Unavailable(f"{argv[0]} failed: {lines[-1] if lines else result.returncode}.")
    return result.stdout

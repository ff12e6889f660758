"""A machine's disk: fetched from a registry, copied, and converted for another hypervisor."""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING

from lab.delivery import counting_proxy
from lab.delivery.commands import timed
from lab.errors import TargetFailed
from lab.host.disk_usage import allocated_bytes
from runtime.errors import ContainerError
from runtime.images.manifest import Descriptor
from runtime.images.reference import parse
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.targets.base import Target

_MEDIA_TYPE = "application/octet-stream"
_REPOSITORY = "machine:1"
_CONVERTED = "vmdk"  # VMware's format, which most hypervisors import


def measure(target: Target, host: str, folder: Path, *, counts_bytes: bool) -> dict[str, float]:
    """Fetch what a machine is shipped as from the registry at HOST:PORT; copy and convert its disk.

    Under KVM the start is timed as well: an emulated one would say nothing about other platforms.
    Raise LabError.
    """
    shipped = target.shipped()
    try:
        blobs = _upload(shipped, host)
        values: dict[str, float] = {}
        if counts_bytes:
            with counting_proxy.counting(host) as count:
                _fetch(blobs, shipped, count.host, _new(folder / "counted"))
                values["wire-cold"] = float(count.take())
        arrived = _new(folder / "arrived")
        begin_ns = time.monotonic_ns()
        files = _fetch(blobs, shipped, host, arrived)
        target.unpack(files, arrived)
        values["pull-cold"] = (time.monotonic_ns() - begin_ns) / 1e9
    except ContainerError as error:
        raise TargetFailed(f"The machine's disk could not be delivered: {error}") from error
    values["stored"] = float(allocated_bytes(arrived))
    values |= _copied_and_converted(target.image_paths()[0], folder)
    if target.settings.accelerator == "kvm":
        values["ready"] = values["pull-cold"] + _start_seconds(target)
    return values


def _start_seconds(target: Target) -> float:
    with target.start() as instance:
        ready_ns = instance.reached("ready")
        assert ready_ns is not None
        return (ready_ns - instance.t0_ns) / 1e9


def _copied_and_converted(disk: Path, folder: Path) -> dict[str, float]:
    copied, converted = folder / "copied", folder / f"converted.{_CONVERTED}"
    begin_ns = time.monotonic_ns()
    shutil.copy(disk, copied)
    copy_seconds = (time.monotonic_ns() - begin_ns) / 1e9
    convert = timed([["qemu-img", "convert", "-O", _CONVERTED, str(disk), str(converted)]])
    return {"disk-copy": copy_seconds, "disk-convert": convert.seconds}


def _upload(files: Sequence[Path], host: str) -> list[Descriptor]:
    repository = Repository(parse(f"{host}/{_REPOSITORY}"), Options(), writable=True)
    blobs = []
    for file in files:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            blob = Descriptor(_MEDIA_TYPE, f"sha256:{digest}", file.stat().st_size)
            if not repository.has_blob(blob):
                content.seek(0)
                repository.upload(blob, content)
        blobs.append(blob)
    return blobs


def _fetch(
    blobs: Sequence[Descriptor], names: Sequence[Path], host: str, directory: Path
) -> list[Path]:
    """Fetch the blobs as files of the same names, and check their digests."""
    repository = Repository(parse(f"{host}/{_REPOSITORY}"), Options())
    fetched = []
    for blob, name in zip(blobs, names, strict=True):
        digest = hashlib.sha256()
        path = directory / name.name
        with path.open("wb") as file:
            for _, piece in repository.blob(blob):
                digest.update(piece)
                file.write(piece)
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise TargetFailed(f"{name.name} came with another digest.")
        fetched.append(path)
    return fetched


def _new(directory: Path) -> Path:
    directory.mkdir()
    return directory

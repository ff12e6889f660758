"""A machine with systemd and cgroup version 2 only, with this project in it.

Its disk is the common user land with the programs that the tests call. A second disk is the user
land of the tests' containers, mounted where the cache has it.
"""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

import vms
from lab.paths import PAYLOAD_IN_TREE, cache_directory
from lab.targets.machines.machine import FullMachine
from lab.userland import build, guest_kernel, kvm_probe
from vms.boot import kernel
from vms.boot.initramfs import build_initramfs
from vms.connection.process_root import own_root
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).parents[2]
PARTS = ("lab", "runtime", "vms", "tests", "setup", "pyproject.toml")
INSIDE = "/tonnage"
PYTHON = f"{INSIDE}/.venv/bin/python3"
NEEDED = ("pytest", "pytest-timeout")  # and their requirements, all pure Python
PACKAGES = ("iproute2",)
MODULES = ("overlay", "veth", "dummy", "loop", "tun")
WORDS = "systemd.unified_cgroup_hierarchy=1"
VCPUS, MEMORY_MIB = 2, 2048
BOOT_SECONDS = 180.0
COPY_SECONDS = 60.0


@contextmanager
def booted(progress: Callable[[str], None]) -> Iterator[vms.Domain]:
    """Boot the machine, with the project in `INSIDE`. Raise MachineError and LabError."""
    tested = build.build(progress)
    own = build.build(progress, PACKAGES)
    images = (cache_directory(),)
    with own_root() as root, vms.Connection.open(root, image_directories=images) as connection:
        progress("booting a machine with cgroup version 2 only")
        with connection.start(_machine(own, tested, root)) as domain:
            domain.wait_for("ready", BOOT_SECONDS)
            progress("copying the project into it")
            _place(domain, own, tested)
            yield domain


def _machine(own: build.Userland, tested: build.Userland, scratch: Path) -> vms.Machine:
    for name, land in (("own", own), ("tested", tested)):
        disks.clone(land.disk, scratch / f"{name}.qcow2")
    initramfs = scratch / "initramfs.cpio"
    found = kernel.fetch(cache_directory() / "kernel")
    build_initramfs(initramfs, own.payload, found, (*guest_kernel.MODULES, *MODULES))
    works = kvm_probe.prove(lambda _: None).works
    words = f"{FullMachine.kernel_words} {WORDS}"
    if not works:
        words += f" {acceleration.kernel_words()}"
    return vms.Machine(
        name=f"tonnage-v2-{os.getpid()}",
        vcpus=VCPUS,
        memory_mib=MEMORY_MIB,
        accelerator=vms.Accelerator.KVM if works else vms.Accelerator.TCG,
        chipset=FullMachine.chipset,
        boot=vms.DirectKernel(own.kernel, initramfs, words),
        disks=(vms.Disk(scratch / "own.qcow2"), vms.Disk(scratch / "tested.qcow2")),
        channels=("tonnage.events", "tonnage.agent"),
        networks=(vms.UserNetwork(),),
    )


def _place(domain: vms.Domain, own: build.Userland, tested: build.Userland) -> None:
    archive = project(own.tree)
    blocks = (archive[at : at + (1 << 20)] for at in range(0, len(archive), 1 << 20))
    domain.inside.write_file("/project.tar", blocks, 0o600, COPY_SECONDS)
    cache = "/var/cache/tonnage"
    tree = f"{cache}/{tested.tree.parent.name}/root"
    payload = f"{cache}/{tested.payload.parent.name}"
    shell(
        domain,
        f"mkdir -p {INSIDE} {tree} {payload}"
        f" && tar -xf /project.tar -C {INSIDE} && rm /project.tar"
        f" && mount /dev/vdb {tree}"
        f" && cp {tree}{PAYLOAD_IN_TREE} {payload}/payload",
        COPY_SECONDS,
    )


def shell(domain: vms.Domain, script: str, timeout_seconds: float) -> str:
    """Return the output of a script in the machine. Raise MachineError if it fails."""
    result = domain.inside.run(["/bin/sh", "-c", script], timeout_seconds)
    if result.exit_code:
        raise vms.MachineError(f"In the machine: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode(errors="replace").strip()


def project(tree: Path) -> bytes:
    """Return the project with an environment for the user land's Python, as a tar archive."""
    version = (tree / "usr/bin/python3").readlink().name
    packages = f".venv/lib/{version}/site-packages"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for part in PARTS:
            archive.add(PROJECT / part, part, filter=_without_bytecode)
        for each in _with_requirements(NEEDED):
            for path in each.files or ():
                if ".." not in path.parts:
                    archive.add(path.locate(), f"{packages}/{path}", filter=_without_bytecode)
        archive.add(PROJECT / "setup/tonnage-oci", ".venv/bin/tonnage-oci")
        _add(archive, f"{packages}/_editable_impl_tonnage.pth", f"{INSIDE}\n")
        _add(archive, ".venv/pyvenv.cfg", "home = /usr/bin\n")
        link = tarfile.TarInfo(".venv/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
        archive.addfile(link)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    archive.addfile(entry, io.BytesIO(text.encode()))


def _without_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


def _with_requirements(names: tuple[str, ...]) -> list[Distribution]:
    """Return these packages of this Python, and those that they require."""
    distributions: dict[str, Distribution] = {}
    names_left = list(names)
    while names_left:
        name = names_left.pop()
        if name not in distributions:
            distributions[name] = distribution(name)
            requirements = map(Requirement, distributions[name].requires or ())
            names_left += [
                each.name for each in requirements
                if not each.marker or each.marker.evaluate({"extra": ""})
            ]  # fmt: skip
    return list(distributions.values())

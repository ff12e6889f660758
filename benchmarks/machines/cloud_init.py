"""Does a cloud image take what it is told? One with cloud-init inside, booted with our seed.

    python -m benchmarks.machines.cloud_init --out results/vm-cloudinit/record.json

The image is built of Debian's packages and kept in the cache: systemd, cloud-init, netplan, an ssh
server. It is booted by `vms` with a seed (vms.boot.cloudinit) that names its host, brings an ssh
key, and has user data that writes a file and makes a user. Whoever then gets in by that key,
through a forwarded port, looks whether all of it is so once cloud-init says that it is done; what
it says of itself is in the record too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import vms
from lab.host import facts, kvm_probe
from lab.host.measurement_lock import scratch_directory
from lab.paths import cache_directory
from lab.targets.machines.machine import free_port
from lab.userland import build, guest_kernel, root_tree
from vms.boot import cloudinit, kernel
from vms.qemu import acceleration
from vms.storage import disks

PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "cloud-init", "netplan.io",
            "openssh-server", "sudo")  # fmt: skip
_DISK_BYTES = 2 << 30
_MODULES = (*guest_kernel.MODULES, "isofs")  # the seed's file system
_WORDS = "console=ttyS0 quiet net.ifnames=0 TONNAGE_ROOT=/dev/vda TONNAGE_INIT=/sbin/init"
# The one that so small an image has; cloud-init wants another one, and says that it failed.
_LOCALE = "locale: C.UTF-8\n"
_USER_DATA = """\
#cloud-config
users: [default, {name: sailor, shell: /bin/sh}]
write_files: [{path: /etc/told, content: all hands}]
runcmd: [[sh, -c, "echo aweigh >/etc/ran"]]
"""
# What is looked at inside, and what must be found.
WANTED = {
    "hostname": "cask",
    "whoami": "debian",
    "cat /etc/told": "all hands",
    "cat /etc/ran": "aweigh",
    "id -un sailor": "sailor",
}


def image() -> Path:
    """The cloud image's disk, built now if the cache has none."""
    suite = root_tree.debian_suite()
    key = hashlib.sha256(" ".join((suite, *PACKAGES, _LOCALE)).encode()).hexdigest()[:16]
    directory = cache_directory() / f"cloud-{key}"
    if not directory.is_dir():
        aside = directory.with_name(f".{directory.name}.{os.getpid()}")
        aside.mkdir(parents=True)
        try:
            _build(suite, aside)
            aside.rename(directory)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return directory / "base.qcow2"


def _build(suite: str, directory: Path) -> None:
    print(f"building a Debian {suite} cloud image", file=sys.stderr)
    root = directory / "root"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
         "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
         suite, str(root)],
        check=True,
    )  # fmt: skip
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/machine-id").write_text("")  # made at its first boot
    (root / "etc/cloud/cloud.cfg.d/10_locale.cfg").write_text(_LOCALE)
    # Without a prompt on the line that the kernel and cloud-init speak on.
    (root / "etc/systemd/system/serial-getty@ttyS0.service").symlink_to("/dev/null")
    subprocess.run(["systemctl", f"--root={root}", "enable", "systemd-networkd"], check=True)
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()  # a cloud image has none: cloud-init makes them
    disks.build_disk(root, directory / "base.qcow2", _DISK_BYTES)
    shutil.rmtree(root)


def ssh(key: Path, port: int, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command inside, as the image's default user."""
    return subprocess.run(
        ["ssh", "-i", str(key), "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "debian@127.0.0.1", command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def boot_and_look(scratch: Path, accelerator: str, deadline_seconds: float) -> dict[str, object]:
    """Boot it with a seed; what was found inside, and after how many seconds it let us in."""
    land = build.build(lambda line: print(line, file=sys.stderr))
    base = image()
    key, port = scratch / "key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    cloudinit.write_seed(
        cloudinit.Seed("cask", (public,), _USER_DATA.encode()), scratch / "seed.iso"
    )
    disks.clone(base, scratch / "disk.qcow2")
    initramfs = scratch / "initramfs.cpio"
    found = kernel.fetch(land.kernel.parent.parent)
    kernel.build_initramfs(initramfs, land.payload, found, _MODULES)
    emulated = acceleration.kernel_words() if accelerator == "tcg" else ""
    machine = vms.Machine(
        name="tonnage-cloudinit",
        vcpus=1,
        memory_mib=768,
        accelerator=vms.Accelerator(accelerator),
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, initramfs, f"{_WORDS} {emulated}".rstrip()),
        disks=(
            vms.Disk(scratch / "disk.qcow2"),
            vms.Disk(scratch / "seed.iso", format="raw", read_only=True),
        ),
        networks=(vms.UserNetwork((vms.Forward(port, 22),)),),
        rng=vms.Rng(),
    )
    directories = (cache_directory(),)
    with vms.Connection.open(scratch / "l-vm", image_directories=directories) as connection:
        begun = time.monotonic()
        with connection.start(machine) as domain:
            while ssh(key, port, "true").returncode:
                if time.monotonic() > begun + deadline_seconds:
                    said = "\n".join(domain.console.said[-20:])
                    raise SystemExit(f"no ssh within the deadline:\n{said}")
                time.sleep(1)
            seconds = time.monotonic() - begun
            status = ssh(key, port, "cloud-init status --wait --long").stdout.strip(". \n")
            inside = {command: ssh(key, port, command).stdout.strip() for command in WANTED}
    return {"ssh_seconds": seconds, "status": status.splitlines(), "found": inside}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deadline", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    options = parser.parse_args()
    accelerator = kvm_probe.accelerator(lambda _: None)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        looked = boot_and_look(scratch, accelerator, options.deadline)
    record = {
        "accelerator": accelerator,
        **looked,
        "wanted": WANTED,
        "qemu": facts.version("qemu-system-x86_64"),
        "host": {"kernel": platform.release(), "cpu": facts.cpu_model()},
    }
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(looked, indent=1))
    return 0 if looked["found"] == WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

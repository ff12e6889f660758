"""cloud-init in a guest: a cloud image booted with our seed, and checked against it.

    python -m benchmarks.machines.cloud_init --out results/vm-cloudinit/record.json

The image is built of Debian's packages and kept in the cache: systemd, cloud-init, netplan, an ssh
server. `vms` boots it with a seed (vms.boot.cloudinit) that sets its host name, adds an ssh key,
and has user data that writes a file and creates a user. An ssh client then logs in with that key
through a forwarded port, and checks all of it once cloud-init has finished; the status that
cloud-init reports is in the record too.
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
from benchmarks import harness
from lab.host import facts
from lab.host.scratch import scratch_directory
from lab.paths import cache_directory
from lab.targets.programs import free_port
from lab.userland import build, guest_kernel, kvm_probe, root_tree
from vms.boot import cloudinit, kernel
from vms.boot.initramfs import build_initramfs
from vms.qemu import acceleration
from vms.storage import disks

PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "cloud-init", "netplan.io",
            "openssh-server", "sudo")  # fmt: skip
_DISK_BYTES = 2 << 30
_MODULES = (*guest_kernel.MODULES, "isofs")  # the seed's file system
_WORDS = "console=ttyS0 quiet net.ifnames=0 TONNAGE_ROOT=/dev/vda TONNAGE_INIT=/sbin/init"
# The only locale of so small an image; cloud-init's default locale fails.
_LOCALE = "locale: C.UTF-8\n"
_USER_DATA = """\
#cloud-config
users: [default, {name: sailor, shell: /bin/sh}]
write_files: [{path: /etc/told, content: all hands}]
runcmd: [[sh, -c, "echo aweigh >/etc/ran"]]
"""
# By command run in the guest: the expected output.
EXPECTED = {
    "hostname": "cask",
    "whoami": "debian",
    "cat /etc/told": "all hands",
    "cat /etc/ran": "aweigh",
    "id -un sailor": "sailor",
}


def image() -> Path:
    """Return the cloud image's disk, built now if the cache lacks it."""
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
    harness.say(f"building a Debian {suite} cloud image")
    root = directory / "root"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
         "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
         suite, str(root)],
        check=True,
    )  # fmt: skip
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/machine-id").write_text("")  # written at the first boot
    (root / "etc/cloud/cloud.cfg.d/10_locale.cfg").write_text(_LOCALE)
    # No login prompt on the serial line of the kernel and of cloud-init.
    (root / "etc/systemd/system/serial-getty@ttyS0.service").symlink_to("/dev/null")
    subprocess.run(["systemctl", f"--root={root}", "enable", "systemd-networkd"], check=True)
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()  # cloud-init makes a machine's own
    disks.build_disk(root, directory / "base.qcow2", _DISK_BYTES)
    shutil.rmtree(root)


def ssh(key: Path, port: int, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the guest, as the image's default user."""
    return subprocess.run(
        ["ssh", "-i", str(key), "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "debian@127.0.0.1", command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def boot_and_check(scratch: Path, accelerator: str, deadline_seconds: float) -> dict[str, object]:
    """Boot the image with a seed; return the commands' outputs and the seconds until ssh worked."""
    land = build.build(harness.say)
    base = image()
    key, port = scratch / "key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    cloudinit.write_seed(
        cloudinit.Seed("cask", (public,), _USER_DATA.encode()), scratch / "seed.iso"
    )
    disks.clone(base, scratch / "disk.qcow2")
    initramfs = scratch / "initramfs.cpio"
    package = kernel.fetch(land.kernel.parent.parent)
    build_initramfs(initramfs, land.payload, package, _MODULES)
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
                    console = "\n".join(domain.console.lines[-20:])
                    raise SystemExit(f"ssh did not answer within the deadline:\n{console}")
                time.sleep(1)
            seconds = time.monotonic() - begun
            status = ssh(key, port, "cloud-init status --wait --long").stdout.strip(". \n")
            outputs = {command: ssh(key, port, command).stdout.strip() for command in EXPECTED}
    return {"ssh_seconds": seconds, "status": status.splitlines(), "found": outputs}


def main() -> int:
    """Boot the image, write the record, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deadline", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    options = parser.parse_args()
    accelerator = kvm_probe.accelerator(lambda _: None)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        outcome = boot_and_check(scratch, accelerator, options.deadline)
    record = {
        "accelerator": accelerator,
        **outcome,
        "wanted": EXPECTED,
        "qemu": facts.version("qemu-system-x86_64"),
        "host": {"kernel": platform.release(), "cpu": facts.cpu_model()},
    }
    harness.write_record(options.out, record)
    print(json.dumps(outcome, indent=1))
    return 0 if outcome["found"] == EXPECTED else 1


if __name__ == "__main__":
    sys.exit(main())

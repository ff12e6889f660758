"""Attacks by links and files in an image or a volume that divert mounts.

Attacks that succeed do no harm: they write what is already there, or to a file made for them.
docs/security.md explains the defence against each.
"""

from __future__ import annotations

import array
import ctypes
import os
import shutil
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, Bundle, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


RENAME_EXCHANGE = 2

# CVE-2021-30465, CVE-2019-19921: images and volumes that change a mount's destination.


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[None]:
    """Exchange two names as fast as possible, until the block ends."""
    libc = ctypes.CDLL(None)
    names = (-100, os.fsencode(first), -100, os.fsencode(second), RENAME_EXCHANGE)
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            libc.renameat2(*names)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_exchanged_destination_leads_nowhere(
    runtime: Runtime, another: Callable[[], Bundle]
) -> None:
    """CVE-2021-30465: directories of a volume become links while mounts are made on them."""
    volume, victim = runtime.scratch / "volume", runtime.scratch / "victim"
    (volume / "a").mkdir(parents=True)
    victim.mkdir()
    (volume / "b").symlink_to(victim)
    try:
        with exchanging(volume / "a", volume / "b"):
            for _ in range(15):
                bundle = another()
                bundle.mount("/volume", "bind", str(volume), "rbind")
                bundle.mount("/volume/a/in", "tmpfs", "tmpfs")
                bundle.mount("/volume/a/file", "bind", "/etc/hostname", "bind")
                bundle.shell("true")
                bundle.run()
        assert list(victim.iterdir()) == []
    finally:
        shutil.rmtree(victim)
        shutil.rmtree(volume)


@pytest.mark.parametrize("target", ["/volume", "/proc/self/fd/5", "/../../../.."])
def test_a_proc_that_is_a_link_is_not_believed(bundle: Bundle, target: str) -> None:
    """CVE-2019-19921: /proc of the image is a link to the attacker's files."""
    (bundle.rootfs / "proc").rmdir()
    (bundle.rootfs / "proc").symlink_to(target)
    (bundle.rootfs / "volume").mkdir()
    bundle.linux["maskedPaths"] = ["/proc/version"]
    bundle.shell("cat /proc/version; stat --file-system --format %T /proc/")
    result = bundle.run()
    assert "Linux version" not in result.stdout
    if result:
        assert result.stdout.split() == ["proc"]


def test_a_destination_that_climbs_stays_inside(runtime: Runtime, bundle: Bundle) -> None:
    """CVE-2021-30465: the image has an absolute link, and links that lead up and out."""
    victim = runtime.scratch / "victim"
    victim.mkdir()
    (bundle.rootfs / "absolute").symlink_to(victim)
    (bundle.rootfs / "relative").symlink_to("../" * 20 + str(victim).lstrip("/"))
    for name in ("absolute", "relative"):
        bundle.mount(f"/{name}/in/{name}", "tmpfs", "tmpfs")
    bundle.shell("true")
    try:
        bundle.run()
        assert list(victim.iterdir()) == []
    finally:
        shutil.rmtree(victim)


# CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: exchanged sources of mounts.


@pytest.mark.parametrize("target", ["/proc/version", "/victim"])
def test_a_mask_is_the_kernels_null_device(bundle: Bundle, target: str) -> None:
    """CVE-2025-31133: /dev/null of the image is another file."""
    bundle.config["mounts"] = [
        mount for mount in bundle.config["mounts"] if not mount["destination"].startswith("/dev")
    ]
    (bundle.rootfs / "victim").write_text("Linux version of the image")
    (bundle.rootfs / "dev/null").unlink(missing_ok=True)
    (bundle.rootfs / "dev/null").symlink_to(target)
    bundle.linux["maskedPaths"] = ["/proc/cmdline", "/proc/sys/kernel/ostype"]
    bundle.shell("cat /proc/cmdline /proc/sys/kernel/ostype; echo over")
    result = bundle.run()
    assert "Linux" not in result.stdout
    if result:
        assert result.stdout == "over\n"


def test_a_console_is_not_mounted_on_what_a_link_names(bundle: Bundle) -> None:
    """CVE-2025-52565: /dev/console of the image leads elsewhere."""
    bundle.config["mounts"] = [
        mount for mount in bundle.config["mounts"] if mount["destination"] != "/dev"
    ]
    (bundle.rootfs / "victim").touch()
    (bundle.rootfs / "dev/console").unlink(missing_ok=True)
    (bundle.rootfs / "dev/console").symlink_to("/victim")
    for name in ("pts", "shm"):
        (bundle.rootfs / "dev" / name).mkdir(exist_ok=True)
    bundle.process["terminal"] = True
    bundle.shell("test ! -c /victim && ! grep -q /victim /proc/self/mountinfo && touch /sound")
    with console_socket(bundle.path / "console") as path:
        if bundle.create("--console-socket", path) and bundle.start():
            bundle.wait("stopped")
            assert (bundle.rootfs / "sound").exists()


@contextmanager
def console_socket(path: Path) -> Iterator[str]:
    """Return a socket that receives one container's terminal and keeps it open."""
    # A path too long for a socket's address is shortened by its directory's descriptor.
    directory = os.open(path.parent, os.O_PATH)
    short = f"/proc/self/fd/{directory}/{path.name}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(short)
        listening.listen()
        listening.settimeout(DEADLINE_SECONDS)
        descriptors: list[int] = []

        def take() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
                for _, _, data in ancillary:
                    descriptors.extend(array.array("i", data))

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield str(path)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for descriptor in (*descriptors, directory):
        os.close(descriptor)


@pytest.mark.parametrize("destination", ["/proc", "/proc/sys", "/proc/sys/net"])
def test_a_sysctl_is_written_to_the_kernel_alone(
    runtime: Runtime, bundle: Bundle, destination: str
) -> None:
    """CVE-2025-52881: a volume on /proc offers its files instead of the kernel's."""
    volume = runtime.scratch / "volume"
    below = volume / Path("/proc/sys/net/ipv4").relative_to(destination)
    below.mkdir(parents=True)
    (below / "ip_forward").write_text("untouched")
    bundle.mount(destination, "bind", str(volume), "rbind")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.shell("true")
    try:
        bundle.run()
        assert (below / "ip_forward").read_text() == "untouched"
    finally:
        shutil.rmtree(volume)

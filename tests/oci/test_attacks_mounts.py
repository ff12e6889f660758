"""Links and files of an image or a volume that lead mounts astray.

The attacks do no harm where they succeed: they write what is there already, or into a file that is
there for it. docs/security.md tells of each how it is withstood.
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

# CVE-2021-30465, CVE-2019-19921: what an image or a volume makes of a mount's destination.


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[None]:
    """Exchange two names as fast as it goes, until the block ends."""
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
    """CVE-2021-30465: a volume whose directories become links while they are mounted on."""
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
    """CVE-2019-19921: an image whose /proc leads to what an attacker wrote."""
    (bundle.rootfs / "proc").rmdir()
    (bundle.rootfs / "proc").symlink_to(target)
    (bundle.rootfs / "volume").mkdir()
    bundle.linux["maskedPaths"] = ["/proc/version"]
    bundle.shell("cat /proc/version; stat --file-system --format %T /proc/")
    done = bundle.run()
    assert "Linux version" not in done.stdout
    if done:
        assert done.stdout.split() == ["proc"]


def test_a_destination_that_climbs_stays_inside(runtime: Runtime, bundle: Bundle) -> None:
    """CVE-2021-30465: links in the image that lead up and out, and an absolute one."""
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


# CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: what is mounted on what.


@pytest.mark.parametrize("target", ["/proc/version", "/victim"])
def test_a_mask_is_the_kernels_null_device(bundle: Bundle, target: str) -> None:
    """CVE-2025-31133: an image whose /dev/null is something else."""
    bundle.config["mounts"] = [
        mount for mount in bundle.config["mounts"] if not mount["destination"].startswith("/dev")
    ]
    (bundle.rootfs / "victim").write_text("Linux version of the image")
    (bundle.rootfs / "dev/null").unlink(missing_ok=True)
    (bundle.rootfs / "dev/null").symlink_to(target)
    bundle.linux["maskedPaths"] = ["/proc/cmdline", "/proc/sys/kernel/ostype"]
    bundle.shell("cat /proc/cmdline /proc/sys/kernel/ostype; echo over")
    done = bundle.run()
    assert "Linux" not in done.stdout
    if done:
        assert done.stdout == "over\n"


def test_a_console_is_not_mounted_on_what_a_link_names(bundle: Bundle) -> None:
    """CVE-2025-52565: an image whose /dev/console leads elsewhere."""
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
    """A socket that takes the terminal of one container and keeps it open."""
    # A path that is longer than a socket's may be is named by its directory.
    directory = os.open(path.parent, os.O_PATH)
    short = f"/proc/self/fd/{directory}/{path.name}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(short)
        listening.listen()
        listening.settimeout(DEADLINE_SECONDS)
        held: list[int] = []

        def take() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
                for _, _, data in ancillary:
                    held.extend(array.array("i", data))

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield str(path)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for descriptor in (*held, directory):
        os.close(descriptor)


@pytest.mark.parametrize("destination", ["/proc", "/proc/sys", "/proc/sys/net"])
def test_a_sysctl_is_written_to_the_kernel_alone(
    runtime: Runtime, bundle: Bundle, destination: str
) -> None:
    """CVE-2025-52881: a volume on /proc, whose files are written to in the kernel's place."""
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

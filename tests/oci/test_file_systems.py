"""config.md, "Mounts": overlays of directories of the host, and its devices.

Paths in the source and the options are those of the host, as the engine means them that wrote them;
an image may have other files at the same paths.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import mounts_of_host
from tests.oci.users import FIRST_ID, IDS, NOBODY, runtime_of_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.oci.driver import Bundle, Runtime


@pytest.fixture
def layers(bundle: Bundle) -> Path:
    """Make directories on the host; the image has other directories at their paths."""
    place = bundle.path / "layers"
    for root in (place, bundle.rootfs / str(place).lstrip("/")):
        for name in ("upper", "work", "first", "second"):
            (root / name).mkdir(parents=True)
        (root / "first/file").write_text("the image's\n")
    (place / "first/file").write_text("first\n")
    (place / "second/file").write_text("second\n")
    (place / "second/more").write_text("more\n")
    return place


def overlay(bundle: Bundle, place: str, **directories: object) -> None:
    options = [f"{name}dir={value}" for name, value in directories.items()]
    bundle.mount(place, "overlay", "overlay", *options)


def read_only(bundle: Bundle, layers: Path) -> None:
    overlay(bundle, "/im", lower=f"{layers}/first:{layers}/second")
    bundle.shell("cat /im/file /im/more; echo >/im/new || echo read-only")


def test_an_overlay_of_directories_of_the_host(bundle: Bundle, layers: Path) -> None:
    """podman's `--mount type=image`."""
    read_only(bundle, layers)
    before = mounts_of_host()
    assert bundle.run().stdout == "first\nmore\nread-only\n"
    assert mounts_of_host() == before


def test_a_writable_overlay(bundle: Bundle, layers: Path) -> None:
    """podman's `-v DIR:/v:O`."""
    overlay(bundle, "/im", lower=f"{layers}/first", upper=f"{layers}/upper", work=f"{layers}/work")
    bundle.shell("cat /im/file; echo new >/im/new; grep -c ' /im ' /proc/self/mounts")
    assert bundle.run().stdout == "first\n1\n"
    assert (layers / "upper/new").read_text() == "new\n"
    assert not (layers / "first/new").exists()


def test_an_overlays_relative_paths_are_the_bundles(bundle: Bundle, layers: Path) -> None:
    overlay(bundle, "/im", lower="layers/second:layers/first")
    bundle.shell("cat /im/file")
    assert layers.exists()
    assert bundle.run().stdout == "second\n"


def test_options_that_are_longer_than_one_of_fsconfig(bundle: Bundle, layers: Path) -> None:
    """A value for fsconfig(2) has at most 256 bytes; mount(2) takes a page."""
    names = [f"{layers}/{letter * 100}" for letter in "abcdefgh"]
    for name in names:
        (layers / name).mkdir()
    overlay(bundle, "/im", lower=":".join([*names, f"{layers}/second"]))
    bundle.shell("cat /im/more")
    assert bundle.run().stdout == "more\n"


def test_an_overlay_without_a_mount_namespace(bundle: Bundle, layers: Path) -> None:
    """Temporary mounts on the way are gone afterwards."""
    read_only(bundle, layers)
    bundle.without_namespace("mount")
    before = mounts_of_host()
    result = bundle.run()
    assert result.stdout == "first\nmore\nread-only\n", result.stderr
    assert mounts_of_host() == before


def test_an_overlay_in_a_user_namespace(bundle: Bundle, layers: Path) -> None:
    """Root of a user namespace may mount overlays since Linux 5.11."""
    for path in (bundle.rootfs, *layers.iterdir()):
        os.chown(path, FIRST_ID, FIRST_ID)
    bundle.namespace("user")
    mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    read_only(bundle, layers)
    result = bundle.run()
    assert result.stdout == "first\nmore\nread-only\n", result.stderr


@pytest.fixture
def user(installed: Runtime) -> Iterator[Bundle]:
    runtime = runtime_of_user(installed, ids=False)
    yield runtime.bundle()
    runtime.remove()


def test_an_overlay_of_a_user(user: Bundle) -> None:
    for path in (user.path, user.rootfs):
        os.chown(path, NOBODY, NOBODY)
    (user.path / "lower").mkdir()
    (user.path / "lower/file").write_text("lower\n")
    (user.path / "more").mkdir()
    user.namespace("user")
    mapping = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
    user.linux["uidMappings"] = user.linux["gidMappings"] = mapping
    del user.linux["cgroupsPath"]
    for mount in user.config["mounts"]:
        mount["options"] = [word for word in mount.get("options", ()) if word != "gid=5"]
    overlay(user, "/im", lower="lower:more")
    user.shell("cat /im/file")
    result = user.run()
    assert result.stdout == "lower\n", result.stderr


def test_what_an_overlay_shows_is_the_containers(bundle: Bundle, layers: Path) -> None:
    """HOME comes from the overlay's passwd, and later mounts follow the overlay's links."""
    (layers / "second/passwd").write_text("me:x:0:0::/home/overlay:/bin/sh\n")
    (layers / "first/link").symlink_to("/target")
    overlay(bundle, "/etc", lower=f"{layers}/first:{layers}/second")
    bundle.mount("/etc/link/below", "tmpfs", "tmpfs", "mode=700")
    bundle.shell("echo $HOME; stat -c %a /target/below")
    result = bundle.run()
    assert result.stdout == "/home/overlay\n700\n", result.stderr


def test_an_overlay_that_cannot_be_made(bundle: Bundle, layers: Path) -> None:
    overlay(bundle, "/im", lower=f"{layers}/nowhere:{layers}/first")
    before = mounts_of_host()
    words = bundle.refused()
    assert "/im" in words
    assert "no such file" in words
    assert mounts_of_host() == before


def test_a_device_of_the_host_is_mounted(bundle: Bundle, layers: Path) -> None:
    """The image has another node of the same name."""
    for tool in ("losetup", "mkfs.ext4"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed: apt-get install mount e2fsprogs")
    image = layers / "image"
    image.write_bytes(bytes(4 << 20))
    subprocess.run(["mkfs.ext4", "-q", "-d", layers / "second", image], check=True)
    attached = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, check=False, text=True
    )
    if attached.returncode:
        pytest.skip(f"no loop device is available: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    try:
        os.mknod(bundle.rootfs / device.lstrip("/"), 0o20666, os.makedev(1, 3))
        bundle.mount("/im", "ext4", device, "ro")
        bundle.shell("cat /im/more")
        result = bundle.run()
        assert result.stdout == "more\n", result.stderr
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)

"""config.md, "Root", "Mounts" and "Linux mount options"; config-linux.md, propagation."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.oci.driver import mounts_of_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle

Report = dict[str, Any]

# Option: what the mount's entry shows inside; `!` means that it must not show it. (mount(8))
VISIBLE = {
    "ro": "ro", "rw": "rw", "nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec",
    "noatime": "noatime", "nodiratime": "nodiratime", "relatime": "relatime",
    "strictatime": "!relatime", "sync": "sync", "dirsync": "dirsync", "lazytime": "lazytime",
    "size=64k": "size=64k",
}  # fmt: skip
# The option that comes later wins over the earlier one.
TAKEN_BACK = {
    ("nosuid", "suid"): "!nosuid", ("nodev", "dev"): "!nodev", ("noexec", "exec"): "!noexec",
    ("ro", "rw"): "rw", ("rw", "ro"): "ro", ("sync", "async"): "!sync",
    ("noatime", "atime"): "!noatime", ("nodiratime", "diratime"): "!nodiratime",
    ("strictatime", "nostrictatime"): "relatime", ("noatime", "defaults"): "rw",
}  # fmt: skip
INVISIBLE = ["async", "atime", "defaults", "dev", "diratime", "exec", "loud", "noiversion",
             "nolazytime", "norelatime", "nostrictatime", "silent", "suid", "iversion"]  # fmt: skip
PROPAGATION = {
    "private": None, "rprivate": None, "shared": "shared", "rshared": "shared", "slave": None,
    "rslave": None, "unbindable": "unbindable", "runbindable": "unbindable",
}  # fmt: skip
RECURSIVE = {
    "rro": "ro", "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec",
    "rnoatime": "noatime", "rnodiratime": "nodiratime", "rrelatime": "relatime",
    "rstrictatime": "!relatime", "rnosymfollow": "nosymfollow",
}  # fmt: skip


def shown(report: Report, destination: str) -> Report:
    observed: Report = [each for each in report["mounts"] if each["destination"] == destination][-1]
    return observed


def differs(report: Report, destination: str, expected: str) -> bool:
    mount = shown(report, destination)
    has = {*mount["options"], *mount["superblock"]}
    if expected in {"ro", "rw"}:
        has = set(mount["options"])
    return (expected.lstrip("!") in has) == expected.startswith("!")


@pytest.fixture
def tree(bundle: Bundle) -> Iterator[Path]:
    """Make a directory in the bundle with another file system mounted in it."""
    outer = bundle.path / "tree"
    (outer / "inner").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tonnage", outer / "inner"], check=True)
    yield outer
    subprocess.run(["umount", outer / "inner"], check=True)


def test_options_are_what_the_mount_has(bundle: Bundle) -> None:
    """Linux mount options: those that MUST be known and can be seen."""
    for option in VISIBLE:
        bundle.mount(f"/m/{option}", "tmpfs", "tmpfs", option)
    report = bundle.report()
    assert [each for each, show in VISIBLE.items() if differs(report, f"/m/{each}", show)] == []


def test_the_later_of_two_options_wins(bundle: Bundle) -> None:
    """Linux mount options: the meaning of mount(8), where an opposite cancels an option."""
    for pair in TAKEN_BACK:
        bundle.mount(f"/m/{'-'.join(pair)}", "tmpfs", "tmpfs", *pair)
    report = bundle.report()
    wrong = [
        pair for pair, show in TAKEN_BACK.items() if differs(report, f"/m/{'-'.join(pair)}", show)
    ]
    assert wrong == []


@pytest.mark.parametrize("option", INVISIBLE)
def test_options_that_show_nothing_are_known(bundle: Bundle, option: str) -> None:
    """Linux mount options: those that MUST be known are not passed to the file system.

    A tmpfs would refuse them.
    """
    bundle.mount("/m", "tmpfs", "tmpfs", option)
    assert shown(bundle.report(), "/m")["type"] == "tmpfs"


def test_propagation_options(bundle: Bundle) -> None:
    """Linux mount options: private, shared, slave, unbindable and their recursive forms."""
    for option in PROPAGATION:
        bundle.mount(f"/m/{option}", "tmpfs", "tmpfs", option)
    report = bundle.report()
    seen = {
        option: next((tag.partition(":")[0] for tag in shown(report, f"/m/{option}")["propagation"]
                      if not tag.startswith("master")), None)
        for option in PROPAGATION
    }  # fmt: skip
    assert seen == PROPAGATION


def test_bind_and_rbind(bundle: Bundle, tree: Path) -> None:
    """Linux mount options: `bind` takes the mount alone, `rbind` also those below it."""
    bundle.mount("/bind", "none", str(tree), "bind")
    bundle.mount("/rbind", "none", str(tree), "rbind")
    destinations = {each["destination"] for each in bundle.report()["mounts"]}
    assert {"/bind", "/rbind", "/rbind/inner"} <= destinations
    assert "/bind/inner" not in destinations


def test_bind_mounts_take_options(bundle: Bundle, tree: Path) -> None:
    """Linux mount options: a bind mount has its own options, and keeps those of its source."""
    subprocess.run(["mount", "-o", "remount,bind,nosuid,nodev,noexec", tree / "inner"], check=True)
    bundle.mount("/ro", "none", str(tree / "inner"), "bind", "ro")
    bundle.mount("/rw", "none", str(tree / "inner"), "bind", "rw")
    report = bundle.report()
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(shown(report, "/ro")["options"])
    assert "rw" in shown(report, "/rw")["options"]


def test_ro_binds_are_not_recursive(bundle: Bundle, tree: Path) -> None:
    """Linux mount options: `ro` is for the mount itself, as in mount(8)."""
    bundle.mount("/m", "none", str(tree), "rbind", "ro")
    report = bundle.report("/m/inner")
    assert "ro" in shown(report, "/m")["options"]
    assert report["paths"]["/m/inner"]["writable"] is True


def test_recursive_options(bundle: Bundle, tree: Path) -> None:
    """Linux mount options: rro and others, SHOULD; for every mount below. (mount_setattr(2))"""
    for option in RECURSIVE:
        bundle.mount(f"/m/{option}", "none", str(tree), "rbind", option)
    report = bundle.report()
    wrong = [
        option for option, show in RECURSIVE.items()
        if differs(report, f"/m/{option}", show) or differs(report, f"/m/{option}/inner", show)
    ]  # fmt: skip
    assert wrong == []


def test_remount(bundle: Bundle) -> None:
    """Linux mount options: `remount` changes an existing mount."""
    bundle.mount("/m", "tmpfs", "tmpfs", "rw", "size=64k")
    bundle.mount("/m", "tmpfs", "tmpfs", "remount", "ro", "size=128k")
    mount = shown(bundle.report(), "/m")
    assert "ro" in {*mount["options"], *mount["superblock"]}
    assert "size=128k" in mount["superblock"]


def test_nosymfollow(bundle: Bundle) -> None:
    """Linux mount options: nosymfollow and symfollow, SHOULD."""
    bundle.mount("/m", "tmpfs", "tmpfs", "nosymfollow")
    bundle.mount("/n", "tmpfs", "tmpfs", "nosymfollow", "symfollow")
    report = bundle.report()
    assert "nosymfollow" in shown(report, "/m")["options"]
    assert "nosymfollow" not in shown(report, "/n")["options"]


def test_tmpcopyup(bundle: Bundle) -> None:
    """Linux mount options: tmpcopyup, MAY: the tmpfs starts with a copy of what it covers."""
    (bundle.rootfs / "full/deep").mkdir(parents=True)
    (bundle.rootfs / "full/deep/file").write_text("was here")
    bundle.mount("/full", "tmpfs", "tmpfs", "tmpcopyup")
    report = bundle.report("/full/deep/file")
    assert shown(report, "/full")["type"] == "tmpfs"
    assert report["paths"]["/full/deep/file"]["holds"] == "was here"


def test_tmpcopyup_takes_all_options_of_a_tmpfs(bundle: Bundle) -> None:
    """Options with and without values, and those of the mount itself; the source is shown."""
    (bundle.rootfs / "kept").mkdir(mode=0o750)
    (bundle.rootfs / "kept/file").write_text("kept\n")
    options = ("tmpcopyup", "inode64", "size=1m", "nosuid", "noexec")
    bundle.mount("/kept", "tmpfs", "the-source", *options)
    report = bundle.report("/kept", "/kept/file")
    mount = shown(report, "/kept")
    assert mount["source"] == "the-source"
    assert {"nosuid", "noexec"} <= set(mount["options"])
    assert {"size=1024k", "inode64"} <= set(mount["superblock"])
    assert report["paths"]["/kept"]["mode"] == 0o750
    assert report["paths"]["/kept/file"]["holds"] == "kept\n"


def test_idmap(bundle: Bundle) -> None:
    """Linux mount options: idmap, SHOULD: the mount's own mappings MUST be used."""
    source = bundle.path / "owned"
    source.mkdir()
    (source / "file").touch()
    bundle.mount("/m", "none", str(source), "bind", "idmap")
    mapping = [{"containerID": 0, "hostID": 1000, "size": 10}]
    bundle.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    file = bundle.report("/m/file")["paths"]["/m/file"]
    assert (file["uid"], file["gid"]) == (1000, 1000)


def test_a_cgroup_mount_shows_the_containers_own(bundle: Bundle) -> None:
    """Mounts: a mount of type `cgroup` shows the hierarchies as the container has them."""
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    bundle.linux["resources"] = {"pids": {"limit": 77}}
    v1 = "/sys/fs/cgroup/pids"
    inside = f"{v1}/pids.max" if Path(v1).is_dir() else "/sys/fs/cgroup/pids.max"
    bundle.namespace("cgroup")
    file = bundle.report(inside)["paths"][inside]
    assert file["holds"] == "77\n"
    assert file["writable"] is False


def test_a_destination_does_not_lead_out_of_the_root(bundle: Bundle) -> None:
    """Mounts: a destination is inside the container, whatever links the image has."""
    outside = bundle.path / "outside"
    outside.mkdir()
    (bundle.rootfs / "link").symlink_to(outside)
    (bundle.rootfs / "up").symlink_to("../../../../../../../../" + str(outside)[1:])
    bundle.mount("/link/made", "tmpfs", "tmpfs")
    bundle.mount("/up/made", "tmpfs", "tmpfs")
    bundle.created()
    assert (bundle.rootfs / str(outside)[1:] / "made").is_dir()
    assert list(outside.iterdir()) == []


def test_root_is_writable_unless_it_is_read_only(bundle: Bundle) -> None:
    """Root: `readonly` defaults to false."""
    assert bundle.report("/")["paths"]["/"]["writable"] is True


def test_root_readonly(bundle: Bundle) -> None:
    """Root: if readonly is true the root file system MUST be read-only inside; mounts are not."""
    bundle.config["root"]["readonly"] = True
    bundle.config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    paths = bundle.report("/", "/tmp")["paths"]
    assert paths["/"]["writable"] is False
    assert paths["/tmp"]["writable"] is True


@pytest.mark.parametrize("absolute", [True, False])
def test_root_path(bundle: Bundle, *, absolute: bool) -> None:
    """Root: `path` is absolute or relative to the bundle."""
    if absolute:
        bundle.config["root"]["path"] = str(bundle.rootfs)
    bundle.shell("test -e /inside.py && echo there")
    assert bundle.run().stdout == "there\n"


def test_nothing_of_the_host_is_seen(bundle: Bundle) -> None:
    """Root: it is the whole file system; the host's is no longer mounted below it."""
    report = bundle.report("/work-of-the-host", str(bundle.path))
    assert "error" in report["paths"][str(bundle.path)]
    assert all(str(bundle.path) not in each["root"] for each in report["mounts"][1:])


@pytest.mark.parametrize(
    ("asked", "shows"),
    [("shared", "shared"), ("slave", "master"), ("private", None), ("unbindable", "unbindable")],
)
def test_rootfs_propagation(bundle: Bundle, asked: str, shows: str | None) -> None:
    """config-linux.md, Rootfs Mount Propagation: the propagation of the root's mount.

    A slave of a private mount receives nothing, and is shown as private.
    """
    subprocess.run(["mount", "--make-shared", bundle.rootfs], check=True)
    bundle.linux["rootfsPropagation"] = asked
    tags = {tag.partition(":")[0] for tag in shown(bundle.report(), "/")["propagation"]}
    assert shows in tags if shows else not tags


def test_mounts_of_the_container_are_not_the_hosts(bundle: Bundle) -> None:
    """config-linux.md, Namespaces: an isolated mount table."""
    before = mounts_of_host()
    bundle.mount("/m", "tmpfs", "tmpfs")
    bundle.running()
    assert mounts_of_host() == before

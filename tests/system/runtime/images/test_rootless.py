"""Image stores of users without root: every verb, with ranges of ids and without."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.images.archives import load
from runtime.images.merged_tree import archive as merged
from runtime.images.store import Store
from runtime.images.tar_reader import BLOCK, CHARACTER, Entry, TarReader
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, oci_archive
from tests.system.runtime.images import real_registry, rootless_user
from tests.system.runtime.images.rootless_user import FIRST_ID, NOBODY, User
from tests.system.runtime.images.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "docker.io/library/app:1"
LAYERS = [
    archive(
        member("etc", "directory"),
        member("etc/x", content=b"x" * 5000),
        member("home", "directory", uid=1000, gid=100),
        member("home/f", content=b"f", uid=1000, gid=100, mode=0o4755),
        member("gone", content=b"g"),
    ),
    archive(
        member("etc/y", content=b"y"), member(".wh.gone"), member("h", "hardlink", linkname="etc/x")
    ),
]
OWN = archive(member("etc", "directory"), member("etc/x", content=b"x"))


@pytest.fixture(scope="module")
def packages() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        Path(directory).chmod(0o755)
        yield rootless_user.packages(Path(directory))


@pytest.fixture
def user(scratch: Path, packages: Path) -> User:
    """A user with ranges of ids."""
    scratch.chmod(0o755)
    return rootless_user.new_user(scratch, packages, ids=True)


@pytest.fixture
def alone(scratch: Path, packages: Path) -> User:
    """A user with no other id."""
    scratch.chmod(0o755)
    return rootless_user.new_user(scratch, packages, ids=False)


def done(user: User, *words: str, document: bytes | None = None) -> str:
    """Return the output of a verb that succeeds."""
    result = user.image(*words, document=document)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def refused(user: User, *words: str, document: bytes | None = None) -> str:
    """Return the sentence of a verb that fails."""
    result = user.image(*words, document=document)
    assert (result.returncode, result.stdout) == (2, b""), result.stderr.decode()
    sentence = result.stderr.decode()
    assert sentence.startswith("tonnage: ") and sentence.count("\n") == 1
    return sentence


def exported(user: User) -> list[tuple[Entry, bytes]]:
    """Return the entries of the image's tree with their content."""
    result = user.image("export", "app:1")
    assert result.returncode == 0, result.stderr.decode()
    reader = TarReader([result.stdout])
    return [(entry, b"".join(reader.content())) for entry in reader]


def snapshots(user: User) -> list[str]:
    return [path.name for path in (user.store / "snapshots").iterdir() if path.suffix != ".lock"]


def test_files_belong_to_the_ids_of_the_user(user: User) -> None:
    document = oci_archive("app:1", *blobs_of(LAYERS))
    assert done(user, "load", document=document) == f"Loaded image: {NAME}\n"
    files = {path.name: path.stat() for path in (user.store / "snapshots").glob("*/fs/home/f")}
    assert (files["f"].st_uid, files["f"].st_gid) == (FIRST_ID + 999, FIRST_ID + 99)
    assert stat.S_IMODE(files["f"].st_mode) == 0o4755
    (directory,) = (user.store / "snapshots").glob("*/fs/home")
    assert directory.parent.stat().st_uid == NOBODY
    entries = {entry.name: entry for entry, _ in exported(user)}
    assert sorted(entries) == [b"./", b"etc/", b"etc/x", b"etc/y", b"h", b"home/", b"home/f"]
    file = entries[b"home/f"]
    assert (file.uid, file.gid, file.mode) == (1000, 100, 0o4755)
    assert entries[b"h"].link == b"etc/x"


@pytest.mark.parametrize(
    "shape",
    [
        "a whiteout of a directory",
        "a child under a whited-out directory",
        "opaque, and merged above",
        "a link for a directory",
        "through a link",
        "a hard link to a lower layer",
        "a capability",
        "setuid",
        "a sparse file",
        "attributes",
        "devices",
    ],
)
def test_the_tree_is_that_of_root_without_devices(user: User, scratch: Path, shape: str) -> None:
    document = oci_archive("app:1", *blobs_of(SHAPES[shape].archives))
    store = Store(scratch / "images", "fast")
    load(store, io.BytesIO(document))
    reader = TarReader(merged(store.layers(store.image(NAME))))
    expected = [(each, b"".join(reader.content())) for each in reader]
    result = user.image("load", document=document)
    assert result.returncode == 0, result.stderr.decode()
    devices = [each for each, _ in expected if each.kind in (CHARACTER, BLOCK)]
    found = exported(user)
    expected[0][0].mtime_ns = found[0][0].mtime_ns  # of the root, when it was made
    assert found == [(each, content) for each, content in expected if each not in devices]
    note = "A layer has 2 devices, which only the host's root may create."
    assert result.stderr.decode() == (f"tonnage: {note}\n" if devices else "")


def test_the_verbs(user: User, scratch: Path) -> None:
    document = oci_archive("app:1", *blobs_of(LAYERS))
    done(user, "load", document=document)
    done(user, "tag", "app:1", "other:2")
    assert done(user, "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines() == [
        "app:1", "other:2",
    ]  # fmt: skip
    (inspected,) = json.loads(done(user, "inspect", "app:1"))
    assert inspected["Config"]["Cmd"] == ["/bin/sh"]
    assert "step 1" in done(user, "history", "app:1")
    saved = user.image("save", "app:1").stdout
    done(user, "rm", "app:1", "other:2")
    assert done(user, "prune").startswith("Removed 0 blobs and 0 unpacked layers.")
    assert snapshots(user) == []
    assert done(user, "load", document=saved) == f"Loaded image: {NAME}\n"
    identifier = done(user, "import", "-", "base:1", document=LAYERS[0]).strip()
    assert identifier.startswith("sha256:")
    assert len(snapshots(user)) == 2  # the imported layer is the first of the image
    done(user, "rm", "app:1", "base:1")
    assert snapshots(user) == []


def test_pull_and_push(user: User, scratch: Path) -> None:
    done(user, "load", document=oci_archive("app:1", *blobs_of(LAYERS)))
    with real_registry.running(scratch / "registry") as registry:
        place = f"{registry.host}/app:1"
        pushed = done(user, "push", "--quiet", "app:1", place)
        done(user, "rm", "app:1")
        assert done(user, "pull", place) == f"{place}  {pushed}"
    assert [image.descriptor.digest for image in Store(user.store).images()] == [pushed.strip()]


def test_another_store_of_the_user(user: User) -> None:
    place = str(user.home / "images")
    done(user, "load", "--store", place, document=oci_archive("app:1", *blobs_of(LAYERS)))
    assert [image.name for image in Store(Path(place)).images()] == [NAME]
    assert "/nowhere" in refused(user, "ls", "--store", "/nowhere")


def test_a_user_with_no_other_id(alone: User) -> None:
    """Files of root only are unpacked; other owners are refused, or become root."""
    done(alone, "load", document=oci_archive("own:1", *blobs_of([OWN])))
    document = oci_archive("app:1", *blobs_of(LAYERS))
    sentence = refused(alone, "load", document=document)
    assert "home/ belongs to the user 1000" in sentence and "/etc/subuid" in sentence
    assert done(alone, "ls", "--format", "{{.Repository}}") == "own\n"
    assert len(snapshots(alone)) == 1
    done(alone, "load", "--unmapped-ids", "root", document=document)
    assert {(entry.uid, entry.gid) for entry, _ in exported(alone)} == {(0, 0)}


def test_an_id_beyond_the_ranges(user: User) -> None:
    layer = archive(member("f", uid=70_000))
    sentence = refused(user, "load", document=oci_archive("app:1", *blobs_of([layer])))
    assert "f belongs to the user 70000, but the user namespace has only the users" in sentence


@pytest.mark.parametrize("network", ["default", "none"])
def test_a_build_that_runs_commands(user: User, network: str) -> None:
    """Removed files stay hidden: the marks of overlayfs are those of a user namespace."""
    shell = Path("/bin/busybox")
    linked = subprocess.run(["ldd", shell], check=False, capture_output=True)
    if not shell.exists() or linked.returncode == 0:
        pytest.skip("busybox-static is not installed")
    base = archive(
        member("bin", "directory"),
        member("bin/sh", content=shell.read_bytes(), mode=0o755),
        member("old", "directory"),
        member("old/f", content=b"f"),
        member("gone", content=b"g"),
        member("own", content=b"o", uid=1000),
    )
    done(user, "load", document=oci_archive("app:1", *blobs_of([base, OWN])))
    context = user.home / "context"
    context.mkdir()
    steps = "rm -r /old /gone && mkdir /old && echo n > /old/n && chown 7 /old/n"
    (context / "Dockerfile").write_text(
        f"FROM app:1\nRUN --network={network} {steps}\nRUN --network={network} ls /old > /seen\n"
    )
    os.chown(context, NOBODY, NOBODY)
    done(user, "build", "--tag", "app:1", str(context))
    found = {entry.name: (entry.uid, content) for entry, content in exported(user)}
    assert found[b"seen"] == (0, b"n\n")
    assert found[b"old/n"] == (7, b"n\n")
    assert found[b"own"] == (1000, b"o")
    assert not {b"old/f", b"gone"} & found.keys()


def test_a_build_that_only_copies(user: User) -> None:
    done(user, "load", document=oci_archive("app:1", *blobs_of(LAYERS)))
    context = user.home / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM app:1\nCOPY file /etc/\nCOPY --from=app:1 /h /i\n")
    (context / "file").write_text("copied")
    for path in (context, *context.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    done(user, "build", "--tag", "app:1", str(context))
    contents = {entry.name: content for entry, content in exported(user)}
    assert contents[b"etc/file"] == b"copied"
    assert hashlib.sha256(contents[b"i"]).digest() == hashlib.sha256(b"x" * 5000).digest()

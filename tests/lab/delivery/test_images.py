"""The images that are delivered: a few programs of a user land, with their libraries."""

from __future__ import annotations

from pathlib import Path

from lab.delivery import images
from lab.delivery.images import Published
from lab.paths import PAYLOAD_IN_TREE


def user_land(path: Path) -> Path:
    """Make a tree with a merged /usr, some programs and their libraries."""
    for name in ("usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib64", "etc", "usr/share/doc"):
        (path / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (path / name).symlink_to(f"usr/{name}")
    for name in ("usr/bin/dash", "usr/bin/cat", "usr/bin/emacs", "etc/passwd", "usr/share/doc/x",
                 "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libz.so.1.2.13",
                 "usr/lib/x86_64-linux-gnu/libgtk.so.3"):  # fmt: skip
        (path / name).write_text(name)
    (path / "usr/bin/dash").chmod(0o755)
    (path / "usr/bin/sh").symlink_to("dash")
    (path / "usr/lib/x86_64-linux-gnu/libz.so.1").symlink_to("libz.so.1.2.13")
    loader = "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    (path / "usr/lib64/ld-linux-x86-64.so.2").symlink_to(loader)
    payload = path / PAYLOAD_IN_TREE.lstrip("/")
    payload.parent.mkdir(parents=True)
    payload.write_text("payload")
    return path


def test_programs_are_copied_with_their_libraries(tmp_path: Path) -> None:
    tree = user_land(tmp_path / "land")
    small = images.copy_programs(tree, tmp_path / "small")
    found = {str(path.relative_to(small)) for path in small.rglob("*") if not path.is_dir()}
    assert found == {
        "usr/bin/dash", "usr/bin/sh", "usr/bin/cat", "etc/passwd",
        "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libz.so.1.2.13",
        "usr/lib/x86_64-linux-gnu/libz.so.1", "usr/lib64/ld-linux-x86-64.so.2",
        PAYLOAD_IN_TREE.lstrip("/"),
    }  # fmt: skip
    assert (small / "bin").readlink() == Path("usr/bin")
    assert (small / "usr/bin/sh").readlink() == Path("dash")
    assert (small / "usr/bin/dash").stat().st_mode & 0o777 == 0o755
    assert (small / "tmp").is_dir()


def test_what_was_published_is_remembered_beside_the_storage(tmp_path: Path) -> None:
    assert images.published(tmp_path / "delivery") is None
    made = Published(tmp_path / "delivery", {"app:1": "sha256:5"})
    images.remember(made)
    assert images.published(tmp_path / "delivery") == made

"""Symbolic links in the image where a configuration names a path. (OCI config.md, "Mounts")

A path stands for what it leads to inside of the root, as every use of it in the container does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oci.driver import Bundle


def said(bundle: Bundle, script: str) -> list[str]:
    """What a script in the container says, which must end well."""
    bundle.shell(script)
    done = bundle.run()
    assert done, done.stderr
    return done.stdout.split()


def to_file(root: Path) -> None:
    (root / "link").symlink_to("real")
    (root / "real").write_text("secret")


def to_directory(root: Path) -> None:
    (root / "link").symlink_to("/real")
    (root / "real").mkdir()
    (root / "real/file").write_text("secret")


def to_link(root: Path) -> None:
    (root / "link").symlink_to("first/second")
    (root / "first").symlink_to("/where")
    (root / "where").mkdir()
    (root / "where/second").symlink_to("../../../real")
    (root / "real").write_text("secret")


def below_link(root: Path) -> None:
    (root / "link").symlink_to("beside")
    (root / "beside").mkdir()
    (root / "beside/real").write_text("secret")


KINDS = {
    "to a file": (to_file, "/link", "/real"),
    "to a directory": (to_directory, "/link", "/real/file"),
    "to a link to a link": (to_link, "/link", "/real"),
    "below a link": (below_link, "/link/real", "/beside/real"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_masked_link_leads_to_cannot_be_read(bundle: Bundle, kind: str) -> None:
    make, path, real = KINDS[kind]
    make(bundle.rootfs)
    bundle.linux["maskedPaths"] = [path]
    found = said(bundle, f"cat {path} {path}/file {real} 2>/dev/null; echo over")
    assert found == ["over"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_readonly_link_leads_to_cannot_be_written_to(bundle: Bundle, kind: str) -> None:
    make, path, real = KINDS[kind]
    make(bundle.rootfs)
    bundle.linux["readonlyPaths"] = [path]
    script = f'for each in {path} {path}/file {real}; do (echo x >>"$each") 2>&1; done; cat {real}'
    assert said(bundle, script)[-1] == "secret"


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/below", "/file/below", "/loop", "/loop/x"])
def test_hidden_paths_that_lead_to_nothing_are_passed_over(
    bundle: Bundle, field: str, path: str
) -> None:
    (bundle.rootfs / "nowhere").symlink_to("/there/is/none")
    (bundle.rootfs / "file").touch()
    (bundle.rootfs / "loop").symlink_to("loop")
    bundle.linux[field] = [path]
    assert said(bundle, "echo over") == ["over"]


@pytest.mark.parametrize("path", ["/proc/net", "/proc/mounts"])
def test_links_of_the_kernel_are_masked_too(bundle: Bundle, path: str) -> None:
    bundle.linux["maskedPaths"] = [path]
    assert said(bundle, f"cat {path} {path}/dev 2>/dev/null; echo over") == ["over"]


def test_a_mask_of_the_kernels_that_is_something_else_is_not_left_open(bundle: Bundle) -> None:
    """Without a proc, what lies there is the image's."""
    bundle.config["mounts"] = [
        each for each in bundle.config["mounts"] if each["destination"] != "/proc"
    ]
    (bundle.rootfs / "proc/kcore").mkdir(parents=True)
    (bundle.rootfs / "proc/kcore/file").write_text("secret")
    bundle.linux["maskedPaths"] = ["/proc/kcore"]
    bundle.shell("cat /proc/kcore/file")
    done = bundle.run()
    assert "secret" not in done.stdout

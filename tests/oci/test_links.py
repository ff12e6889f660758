"""Symbolic links of the image in paths of a configuration. (OCI config.md, "Mounts")

A path stands for the file that it leads to inside the root, as for every process in the container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oci.driver import Bundle


def output_of(bundle: Bundle, script: str) -> list[str]:
    """Return a script's output in the container; it must succeed."""
    bundle.shell(script)
    result = bundle.run()
    assert result, result.stderr
    return result.stdout.split()


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
    observed = output_of(bundle, f"cat {path} {path}/file {real} 2>/dev/null; echo over")
    assert observed == ["over"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_readonly_link_leads_to_cannot_be_written_to(bundle: Bundle, kind: str) -> None:
    make, path, real = KINDS[kind]
    make(bundle.rootfs)
    bundle.linux["readonlyPaths"] = [path]
    script = f'for each in {path} {path}/file {real}; do (echo x >>"$each") 2>&1; done; cat {real}'
    assert output_of(bundle, script)[-1] == "secret"


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/below", "/file/below", "/loop", "/loop/x"])
def test_hidden_paths_that_lead_to_nothing_are_passed_over(
    bundle: Bundle, field: str, path: str
) -> None:
    (bundle.rootfs / "nowhere").symlink_to("/there/is/none")
    (bundle.rootfs / "file").touch()
    (bundle.rootfs / "loop").symlink_to("loop")
    bundle.linux[field] = [path]
    assert output_of(bundle, "echo over") == ["over"]


@pytest.mark.parametrize("path", ["/proc/net", "/proc/mounts"])
def test_links_of_the_kernel_are_masked_too(bundle: Bundle, path: str) -> None:
    bundle.linux["maskedPaths"] = [path]
    assert output_of(bundle, f"cat {path} {path}/dev 2>/dev/null; echo over") == ["over"]


def test_a_mask_of_the_kernels_that_is_something_else_is_not_left_open(bundle: Bundle) -> None:
    """Without a proc mount the path is a file of the image."""
    bundle.config["mounts"] = [
        each for each in bundle.config["mounts"] if each["destination"] != "/proc"
    ]
    (bundle.rootfs / "proc/kcore").mkdir(parents=True)
    (bundle.rootfs / "proc/kcore/file").write_text("secret")
    bundle.linux["maskedPaths"] = ["/proc/kcore"]
    bundle.shell("cat /proc/kcore/file")
    result = bundle.run()
    assert "secret" not in result.stdout


# Destinations: all links are followed, and missing directories are created.


def to_nowhere(root: Path) -> None:
    (root / "link").symlink_to("/srv/new/place")


def to_empty_directory(root: Path) -> None:
    (root / "link").symlink_to("first")
    (root / "first").symlink_to("../../real")
    (root / "real").mkdir()


def below_nowhere(root: Path) -> None:
    (root / "link").symlink_to("srv/place")


DESTINATIONS = {
    "to nothing yet": (to_nowhere, "/link", "/srv/new/place"),
    "to a directory": (to_empty_directory, "/link", "/real"),
    "below nothing yet": (below_nowhere, "/link/in", "/srv/place/in"),
}


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("what", ["directory", "file", "tmpfs", "cwd"])
def test_a_destination_is_followed_to_its_end(bundle: Bundle, kind: str, what: str) -> None:
    make, path, real = DESTINATIONS[kind]
    make(bundle.rootfs)
    source = bundle.path / "source"
    source.mkdir()
    (source / "file").write_text("new")
    script = f"cat {path}/file {real}/file"
    expected = ["newnew"]
    if what == "directory":
        bundle.mount(path, "bind", str(source), "rbind")
    elif what == "file":
        bundle.mount(f"{path}/file", "bind", str(source / "file"), "bind")
    elif what == "tmpfs":
        bundle.mount(path, "tmpfs", "tmpfs")
        script, expected = f"touch {path}/seen; ls {real}", ["seen"]
    else:
        bundle.process["cwd"] = path
        script, expected = "pwd -P", [real]
    assert output_of(bundle, script) == expected


def test_a_link_in_a_volume_is_followed_inside(bundle: Bundle) -> None:
    """The mount is below a volume that a link names, and the volume has an absolute link."""
    volume = bundle.path / "volume"
    volume.mkdir()
    (volume / "inner").symlink_to("/elsewhere")
    (bundle.rootfs / "link").symlink_to("real")
    bundle.mount("/link", "bind", str(volume), "rbind")
    bundle.mount("/link/inner", "tmpfs", "tmpfs")
    assert output_of(bundle, "touch /real/inner/seen; ls /elsewhere") == ["seen"]


def test_a_destination_in_a_circle_is_refused(bundle: Bundle) -> None:
    (bundle.rootfs / "loop").symlink_to("loop")
    bundle.mount("/loop/x", "tmpfs", "tmpfs")
    assert "/loop/x" in bundle.refused()


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
@pytest.mark.parametrize("options", [(), ("tmpcopyup", "noswap"), ("mode=0444",)])
def test_a_tmpfs_has_the_mode_of_what_it_covers(
    bundle: Bundle, mode: int, options: tuple[str, ...]
) -> None:
    (bundle.rootfs / "place").mkdir()
    (bundle.rootfs / "place").chmod(mode)
    bundle.mount("/place", "tmpfs", "shown", *options)
    expected = "444" if options == ("mode=0444",) else f"{mode:o}"
    script = "stat -c %a /place; grep ' /place ' /proc/self/mounts | cut -d' ' -f1"
    assert output_of(bundle, script) == [expected, "shown"]


def test_a_variable_is_there_once_with_its_last_value(bundle: Bundle) -> None:
    bundle.process["env"] += ["TWICE=first", "OTHER=x", "TWICE=second", "HOME="]
    bundle.process["args"] = ["/usr/bin/env"]
    assert bundle.run()
    observed = bundle.output().split()
    assert sorted(each for each in observed if each[:4] in {"TWIC", "HOME"}) == [
        "HOME=/root",
        "TWICE=second",
    ]


def test_home_is_by_the_passwd_that_is_bound(bundle: Bundle) -> None:
    (bundle.rootfs / "etc/passwd").unlink()
    (bundle.rootfs / "etc/passwd").symlink_to("../usr/passwd")
    (bundle.path / "passwd").write_text("me:x:1000:1000::/home/bound:/bin/sh\n")
    bundle.mount("/etc/passwd", "bind", str(bundle.path / "passwd"), "bind")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert output_of(bundle, "echo $HOME") == ["/home/bound"]

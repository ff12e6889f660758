"""Paths of a container, with the symbolic links of its image and its volumes resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import InvalidConfig, default_spec
from runtime.rootfs.destinations import Resolver, overlay_trees, read_in
from runtime.spec.config import Mount

if TYPE_CHECKING:
    from pathlib import Path


def test_links_are_resolved_inside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "absolute").symlink_to("/data")
    (tmp_path / "above").symlink_to("../../../data")
    resolver = Resolver([str(tmp_path)])
    assert resolver.resolve("/absolute/new") == "/data/new"
    assert resolver.resolve("/above/new") == "/data/new"
    assert resolver.resolve("/missing/new") == "/missing/new"


def test_an_upper_layer_hides_a_lower_one(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (upper / "etc").mkdir(parents=True)
    lower.mkdir()
    (lower / "etc").symlink_to("/elsewhere")
    assert Resolver([str(upper), str(lower)]).resolve("/etc/x") == "/etc/x"
    assert Resolver([str(lower), str(upper)]).resolve("/etc/x") == "/elsewhere/x"


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidConfig, match="/a leads through more than 40 symbolic links"):
        Resolver([str(tmp_path)]).resolve("/a")


def test_later_mounts_see_earlier_ones(tmp_path: Path) -> None:
    image, volume = tmp_path / "image", tmp_path / "volume"
    image.mkdir()
    volume.mkdir()
    (volume / "link").symlink_to("/target")
    spec = default_spec(["true"]).replace(
        mounts=(
            Mount(destination="/v", type="bind", source=str(volume), options=("bind",)),
            Mount(destination="/v/link", type="tmpfs", source="tmpfs"),
        )
    )
    layout = Resolver([str(image)]).lay_out(spec, "/", "/bundle")
    assert [each.path for each in layout.mounts] == ["/v", "/target"]


def test_the_trees_of_an_overlay_are_unescaped() -> None:
    options = r"lowerdir=a\:b:/c,upperdir=up\,per,workdir=work"
    assert overlay_trees(options, "/bundle") == ("/bundle/up,per", "/bundle/a:b", "/c")


def test_a_file_is_read_below_its_directory_alone(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    (tmp_path / "secret").write_text("secret")
    (image / "file").write_text("content")
    (image / "link").symlink_to("../secret")
    assert read_in(str(image), "file", 3) == b"con"
    assert read_in(str(image), "link", 100) is None
    assert read_in(str(image), "missing", 100) is None

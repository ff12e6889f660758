"""Mirrors of `image pull`: a real registry as a mirror, and ones that fail."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runtime.images.archives import load
from runtime.images.push import push
from runtime.images.reference import parse
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, oci_archive
from tests.runtime.images.registry.server import Reply, serving
from tests.system.runtime.images import real_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.runtime.images.real_registry import Registry

NAME = "docker.io/library/app:1"
LAYERS = [archive(member("etc", "directory"), member("etc/x", content=b"x" * 5000))]


@pytest.fixture
def plain(scratch: Path) -> Iterator[Registry]:
    with real_registry.running(scratch / "registry") as found:
        yield found


@pytest.fixture
def digest(plain: Registry, scratch: Path) -> str:
    """The digest of the image `library/app:1` of the registry."""
    store = Store(scratch / "source")
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(LAYERS))))
    there = plain.repository("library/app:1", writable=True)
    return push(store, NAME, parse(f"{plain.host}/library/app:1"), there).digest


def pulled(scratch: Path, *words: str, configuration: str = "") -> subprocess.CompletedProcess[str]:
    """Pull with a user's registries.conf."""
    directory = scratch / "home/.config/containers"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "registries.conf").write_text(configuration)
    command = [sys.executable, "-m", "lab.cli.main", "image", "pull"]
    return subprocess.run(
        [*command, "--store", str(scratch / "images"), *words],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "HOME": str(scratch / "home")},
    )  # fmt: skip


def names(scratch: Path) -> list[str]:
    return [image.name for image in Store(scratch / "images").images()]


def test_the_image_has_the_name_of_its_source(scratch: Path, plain: Registry, digest: str) -> None:
    configuration = f'[[registry]]\nprefix = "docker.io"\nlocation = "{plain.host}"\n'
    done = pulled(scratch, "app:1", configuration=configuration)
    assert (done.returncode, done.stdout) == (0, f"{NAME}  {digest}\n"), done.stderr
    assert names(scratch) == [NAME]


def test_mirrors_that_fail_are_left_out(scratch: Path, plain: Registry, digest: str) -> None:
    page = Reply(200, b"<html>", {"Content-Type": "text/html"})
    with serving(lambda _: page) as lying, serving(lambda _: Reply(404)) as empty:
        configuration = (
            f'[[registry]]\nprefix = "docker.io"\nlocation = "{plain.host}"\n'
            f'[[registry.mirror]]\nlocation = "{empty.host}"\n'
        )
        options = ["--mirror", lying.host, "--mirror", "127.0.0.1:1"]
        done = pulled(scratch, *options, "app:1", configuration=configuration)
    assert (done.returncode, done.stdout) == (0, f"{NAME}  {digest}\n"), done.stderr
    notes = [line for line in done.stderr.splitlines() if "was left out" in line]
    for note, (place, reason) in zip(
        notes,
        [(lying.host, "web page"), ("127.0.0.1:1", "refused"), (empty.host, "404 Not Found")],
        strict=True,
    ):
        assert note.startswith(f"tonnage: The mirror {place}/library/app was left out: ")
        assert reason in note
    assert names(scratch) == [NAME]


def test_a_mirror_of_the_command_line(scratch: Path, plain: Registry, digest: str) -> None:
    done = pulled(scratch, "--quiet", "--mirror", plain.host, "app:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert names(scratch) == [NAME]


def test_a_short_name_that_is_an_alias(scratch: Path, plain: Registry, digest: str) -> None:
    configuration = f'[aliases]\nshort = "{plain.host}/library/app"\n'
    done = pulled(scratch, "short:1", configuration=configuration)
    full = f"{plain.host}/library/app:1"
    assert (done.returncode, done.stdout) == (0, f"{full}  {digest}\n"), done.stderr
    assert f"short:1 is an alias of {full}." in done.stderr
    assert names(scratch) == [full]


def test_a_blocked_registry(scratch: Path, plain: Registry, digest: str) -> None:
    configuration = f'[[registry]]\nlocation = "{plain.host}"\nblocked = true\n'
    done = pulled(scratch, f"{plain.host}/library/app:1", configuration=configuration)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is blocked by" in done.stderr
    assert names(scratch) == []

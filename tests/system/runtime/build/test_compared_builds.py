"""Images of our builder beside those of docker and podman, from the Dockerfiles in `dockerfiles/`.

A line `# test:` in a Dockerfile names the oracle (`oracle=`): docker's own builder, which is the
default, or podman; and the options `build-arg=`, `target=`,
`ignore=` (lines of .dockerignore, separated by `|`) and `result=fails`. All of them build on one
image with a static busybox, in one context (`write_context`). Compared are the tree entry by entry,
the configuration, the kinds of the history's steps, and the number of layers.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runtime.build import ignore_file
from runtime.build.builder import build
from runtime.build.options import Options
from runtime.build.source_walk import Request
from runtime.build.sources import archived
from runtime.errors import ContainerError
from runtime.images.archives import load, save
from runtime.images.store import Image, Store
from tests.runtime.images.archive import archive, member
from tests.system.engines import engine as engines
from tests.system.runtime.build.images import add_base

if TYPE_CHECKING:
    from tests.system.engines.engine import Engine

pytestmark = pytest.mark.root

DOCKERFILES = Path(__file__).parent / "dockerfiles"
# Differences that docs/conformance.md argues, by Dockerfile: what differs.
ARGUED = {"run-nothing": {"history", "layers"}, "workdir": {"config"}}
# Mount points that podman leaves in each layer of RUN.
LEFT_BY_PODMAN = ("etc/hostname", "run")
HEREDOC_PODMAN = (4, 9)


@dataclass(frozen=True)
class Case:
    """A Dockerfile with its options."""

    name: str
    text: str
    oracle: str
    arguments: dict[str, str]
    target: str | None
    ignored: list[str]
    fails: bool


def read(path: Path) -> Case:
    options: list[tuple[str, str]] = []
    text = path.read_text()
    for line in text.splitlines():
        if line.startswith("# test:"):
            words = line.removeprefix("# test:").split()
            options += [(name, value) for name, _, value in (word.partition("=") for word in words)]
    found = dict(options)
    given = [value.partition("=") for name, value in options if name == "build-arg"]
    return Case(
        path.stem, text, found.get("oracle", "docker"), {name: value for name, _, value in given},
        found.get("target"), found["ignore"].split("|") if "ignore" in found else [],
        found.get("result") == "fails",
    )  # fmt: skip


CASES = [read(path) for path in sorted(DOCKERFILES.glob("*.Dockerfile"))]


def write_context(directory: Path) -> None:
    """Write the files that the Dockerfiles copy."""
    for name, mode in (("dir", 0o755), ("dir/nested", 0o750), ("empty", 0o755), ("private", 0o700)):
        (directory / name).mkdir(parents=True)
        (directory / name).chmod(mode)
    for name, content, mode in (
        ("a.txt", "a\n", 0o644), ("b.txt", "b\n", 0o600), ("sp ace.txt", "space\n", 0o644),
        ("dir/c.txt", "c\n", 0o644), ("dir/d.sh", "#!/bin/sh\n", 0o755),
        ("dir/nested/e.txt", "e\n", 0o640), ("private/p", "p\n", 0o400), ("h1", "linked\n", 0o644),
    ):  # fmt: skip
        (directory / name).write_text(content)
        (directory / name).chmod(mode)
    (directory / "dir/link").symlink_to("c.txt")
    (directory / "dangling").symlink_to("nowhere")
    os.link(directory / "h1", directory / "h2")
    packed = archive(
        member("d", "directory", mode=0o711, uid=3), member("d/f", content=b"f\n", uid=3, gid=4),
        member("d/s", "symlink", linkname="f"),
        member("d/h", "hardlink", linkname="d/f", uid=3, gid=4),
    )  # fmt: skip
    for suffix, compress in (
        ("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress),
    ):  # fmt: skip
        (directory / f"x.tar{suffix}").write_bytes(compress(packed))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def ours(place: Path) -> Store:
    store = Store(place / "ours", "fast")
    add_base(store)
    return store


@pytest.fixture(scope="module")
def base(place: Path, ours: Store) -> Path:
    """The base image as an archive."""
    with (place / "base.tar").open("wb") as file:
        save(ours, ["docker.io/library/base:latest"], file)
    (place / "rootfs.tar").write_bytes(archive(member("etc", "directory")))
    return place / "base.tar"


@pytest.fixture(scope="module")
def docker(base: Path) -> Iterator[Engine]:
    yield from started("docker", base)


@pytest.fixture(scope="module")
def podman(base: Path) -> Iterator[Engine]:
    yield from started("podman", base)


def started(name: str, base: Path) -> Iterator[Engine]:
    """Start an engine over runc, so that no part of ours takes part in what is compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONNAGE_OCI_RUNTIME", "runc")
        with engines.started(name, base.with_name("rootfs.tar"), "b") as engine:
            engine.output("load", "--input", str(base))
            yield engine


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_image_is_the_oracles(
    case: Case, place: Path, ours: Store, request: pytest.FixtureRequest
) -> None:
    engine: Engine = request.getfixturevalue("podman" if case.oracle == "podman" else "docker")
    if case.oracle == "podman" and "<<" in case.text and version(engine) < HEREDOC_PODMAN:
        pytest.skip("this podman has no here-documents, and neither has docker 20.10")
    context = place / "contexts" / case.name
    write_context(context)
    (context / "Dockerfile").write_text(case.text)
    if case.ignored:
        (context / ".dockerignore").write_text("\n".join(case.ignored) + "\n")
    theirs = built_by(engine, case, context, place)
    own = built_by_us(ours, case, context)
    if case.fails:
        assert (own, theirs) == (None, None)
        return
    assert own and theirs, f"ours: {own is not None}, {case.oracle}: {theirs is not None}"
    other = Store(place / "theirs", "fast")
    seen, expected = described(ours, own), described(other, theirs)
    if case.oracle == "podman":
        for name in LEFT_BY_PODMAN:
            expected["tree"].pop(name, None)
    different = {name for name in seen if seen[name] != expected[name]}
    shown = {name: differences(seen[name], expected[name]) for name in different}
    assert different == ARGUED.get(case.name, set()), shown


def built_by_us(store: Store, case: Case, context: Path) -> Image | None:
    try:
        return build(
            store,
            Options(
                context, case.text, names=(f"ours-{case.name}",), target=case.target,
                arguments=case.arguments, ignored=ignore_file.read(context), network="none",
            ),
        )  # fmt: skip
    except ContainerError:
        return None


def built_by(engine: Engine, case: Case, context: Path, place: Path) -> Image | None:
    """Build by the engine, and load the image into a store of ours."""
    name = f"theirs-{case.name}"
    options = [f"--build-arg={key}={value}" for key, value in case.arguments.items()]
    if case.target:
        options.append(f"--target={case.target}")
    if case.oracle == "podman":
        options += ["--format=docker", "--layers", "--identity-label=false"]
    result = subprocess.run(
        [*engine.command, "build", "--network=none", *options, f"--tag={name}", context],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    if result.returncode != 0:
        assert case.fails, result.stderr[-2000:]
        return None
    file = place / "theirs.tar"
    file.unlink(missing_ok=True)
    engine.output("save", f"--output={file}", name)
    with file.open("rb") as opened:
        (image,) = load(Store(place / "theirs", "fast"), opened)
    return image


def described(store: Store, image: Image) -> dict[str, Any]:
    """Return what is compared of an image."""
    execution = msgspec.to_builtins(image.config.config) if image.config.config else {}
    return {
        "tree": tree(store, image),
        "config": {
            name: value for name, value in execution.items()
            if value and (name, value) != ("WorkingDir", "/")
        },
        "history": [kind(step.created_by, empty=step.empty_layer)
                    for step in image.config.history or []],
        "layers": len(image.manifest.layers),
        "author": image.config.author,
    }  # fmt: skip


def kind(created_by: str, *, empty: bool) -> str:
    """Return the keyword of a step, with a sign if it made no layer."""
    text = re.sub(r"^.*#\(nop\)\s+", "", created_by)
    word = text.split()[0] if text else ""
    if word.upper() not in keywords():
        word = "RUN"  # docker's own builder writes the command alone
    return word.upper() + (" -" if empty else "")


def keywords() -> set[str]:
    words = (
        "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL"
        " STOPSIGNAL USER VOLUME WORKDIR STEP"
    )
    return set(words.split())


def tree(store: Store, image: Image) -> dict[str, tuple[object, ...]]:
    """Return the attributes of every file of an image by its name."""
    layers = store.snapshots.layers(image.chain_ids)
    lower = [f"{path.parent.name}/{path.name}" for path in layers]
    content = b"".join(
        archived(
            Request(
                str(store.snapshots.directory), lower, ["/"], "/", True, keeps_destination=True,
                whole=True,
            )
        )
    )  # fmt: skip
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        for entry in opened:
            file = opened.extractfile(entry) if entry.isreg() else None
            digest = hashlib.sha256(file.read()).hexdigest()[:12] if file else ""
            found[entry.name] = (
                entry.type, f"{entry.mode:o}", entry.uid, entry.gid, entry.size, digest,
                entry.linkname, entry.devmajor, entry.devminor,
            )  # fmt: skip
    return found


def differences(ours: object, theirs: object) -> object:
    """Return both values, or of two dictionaries the entries that differ."""
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return ours, theirs
    names = sorted(set(ours) | set(theirs))
    return {
        name: (ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    }


def version(engine: Engine) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", engine.output("--version"))
    assert found
    return int(found[1]), int(found[2])


def test_every_dockerfile_has_an_oracle() -> None:
    assert len(CASES) >= 60
    assert {case.oracle for case in CASES} == {"docker", "podman"}
    assert set(ARGUED) <= {case.name for case in CASES}

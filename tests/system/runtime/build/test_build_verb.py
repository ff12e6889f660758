"""`tonnage image build`: its options, its output, and the files that it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from runtime.images import manifest
from runtime.images.archives import load
from runtime.images.store import Store
from tests.runtime.images.image import blobs_of
from tests.runtime.images.registry.server import Asked, Reply, serving
from tests.system.runtime.build.images import Built

pytestmark = pytest.mark.root

TEXT = "FROM base AS one\nRUN echo 1 >/one\nFROM base AS two\nCOPY a.txt /\nRUN echo 2 >/two\n"


@pytest.fixture
def here(context: Path) -> Path:
    (context / "Dockerfile").write_text(TEXT)
    return context


def tonnage(
    store: Store, *words: str | Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "lab.cli.main", "image", "build", "--store", store.directory,
         "--durability=fast", *words],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def done(store: Store, *words: str | Path, **environment: str) -> str:
    result = tonnage(store, *words, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def made(store: Store, name: str = "made") -> Built:
    return Built(store, store.image(f"docker.io/library/{name}:latest"), [])


def test_names_labels_and_annotations(store: Store, here: Path) -> None:
    done(store, "-t", "made", "-t", "also", "--label", "a=b", "--label", "c",
         "--annotation", "org.x=1", "--annotation", "manifest:org.y=2", here)  # fmt: skip
    image = made(store).image
    assert made(store, "also").image.id == image.id
    assert image.config.config is not None
    assert image.config.config.labels == {"a": "b", "c": ""}
    assert image.manifest.annotations == {"org.x": "1", "org.y": "2"}
    assert [each.created_by for each in image.config.history or []][-1].startswith("RUN")


def test_files_for_scripts(store: Store, here: Path, scratch: Path) -> None:
    ids, metadata = scratch / "ids", scratch / "metadata"
    output = done(store, "-q", "-t", "made", "--iidfile", ids, "--metadata-file", metadata, here)
    image = made(store).image
    assert output == f"{image.id}\n"
    assert ids.read_text() == image.id
    assert json.loads(metadata.read_text()) == {
        "containerimage.config.digest": image.id,
        "containerimage.digest": image.descriptor.digest,
        "image.name": "docker.io/library/made:latest",
    }
    (here / "Dockerfile").write_text("FROM base\nRUN exit 1\n")
    assert tonnage(store, "--iidfile", ids, here).returncode == 2
    assert not ids.exists()


def test_progress(store: Store, here: Path) -> None:
    result = tonnage(store, "--target", "two", "--progress=plain", here)
    assert b"#1 [two 1/2] COPY a.txt /\n#1 DONE " in result.stderr
    result = tonnage(store, "--target", "two", "--progress=quiet", here)
    assert (result.stdout[:7], result.stderr) == (b"sha256:", b"")
    result = tonnage(store, "--target", "two", "--no-cache-filter", "two", here)
    assert b"CACHED" not in result.stderr
    result = tonnage(store, "--target", "two", "--cache-from", "x", here)
    assert result.stderr.count(b"CACHED") == 2
    assert b"--cache-from is ignored" in result.stderr


def test_outputs(store: Store, here: Path, scratch: Path) -> None:
    names = [image.name for image in store.images()]
    (here / "Dockerfile").write_text(
        "FROM base\nRUN mkdir /d && echo x >/d/x && ln /d/x /d/y && ln -s x /d/z && rm /etc/group"
        " && chown 5:6 /d/x && mkfifo /d/p\n"
    )
    (scratch / "out/d").mkdir(parents=True)
    (scratch / "out/d/kept").touch()
    done(store, "-o", scratch / "out", here)
    status = (scratch / "out/d/x").stat()
    assert (status.st_uid, status.st_gid, status.st_nlink) == (5, 6, 2)
    assert (scratch / "out/d/kept").exists() and not (scratch / "out/etc/group").exists()
    assert (scratch / "out/d/z").readlink() == Path("x")
    done(store, "-o", f"type=tar,dest={scratch}/out.tar", here)
    streamed = tonnage(store, "-o", "-", here).stdout
    assert (scratch / "out.tar").read_bytes() == streamed
    with tarfile.open(fileobj=BytesIO(streamed)) as archive:
        assert archive.getmember("d/x").uid == 5
        assert archive.getmember("d/y").linkname == "d/x"
        assert "etc/group" not in archive.getnames()
    assert [image.name for image in store.images()] == names


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_images_as_archives(store: Store, here: Path, scratch: Path, kind: str) -> None:
    done(store, "-t", "made", "-o", f"type={kind},dest={scratch}/made.tar", here)
    other = Store(scratch / "other", "fast")
    with (scratch / "made.tar").open("rb") as file:
        load(other, file)
    assert made(other).image.id == made(store).image.id


def test_the_environment_of_the_build(store: Store, here: Path, scratch: Path) -> None:
    (here / "Dockerfile").write_text(
        "FROM base\nARG A\nRUN --mount=type=secret,id=S,env=S test ${#S} = 8 && echo $A >/a\n"
        "RUN grep given /etc/hosts >/h && ulimit -n >/n\n"
    )
    done(store, "-t", "made", "--build-arg", "A", "--secret", "id=S", "--add-host",
         "given:192.0.2.1", "--ulimit", "nofile=77", "--shm-size=1m", here,
         A="from outside", S="zqhush-4", SOURCE_DATE_EPOCH="1000")  # fmt: skip
    built = made(store)
    assert (built.read("/a"), built.read("/n")) == ("from outside\n", "77\n")
    assert built.read("/h").split() == ["192.0.2.1", "given"]
    assert built.image.config.created == "1970-01-01T00:16:40Z"
    for path in store.directory.rglob("*"):
        assert not path.is_file() or b"zqhush" not in path.read_bytes(), path


def test_the_ignore_file_of_a_dockerfile_comes_first(store: Store, here: Path) -> None:
    (here / ".dockerignore").write_text("a.txt\n")
    (here / "other.Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (here / "other.Dockerfile.dockerignore").write_text("b.txt\n")
    done(store, "-t", "made", "-f", here / "other.Dockerfile", here)
    assert made(store).has("/a.txt") and not made(store).has("/b.txt")
    (here / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    done(store, "-t", "made", here)
    assert made(store).has("/b.txt") and not made(store).has("/a.txt")


def test_a_base_that_is_missing_is_pulled(store: Store, here: Path, scratch: Path) -> None:
    found, blobs = blobs_of([bytes(1024)])

    def answer(asked: Asked) -> Reply:
        digest = asked.path.rpartition("/")[2]
        if "/manifests/" in asked.path:
            return Reply(200, blobs[found.digest], {"Content-Type": manifest.MANIFEST})
        return Reply(200, blobs[digest]) if digest in blobs else Reply(404)

    with serving(answer) as server:
        (here / "Dockerfile").write_text(f"FROM {server.host}/far:1\nENV A=1\n")
        done(store, "-t", "made", here)
        asked = len(server.asked)
        done(store, "-t", "made", here)
        assert len(server.asked) == asked
        done(store, "-t", "made", "--pull", here)
        assert len(server.asked) > asked
        host = server.host
    assert made(store).image.config.config is not None
    (here / "Dockerfile").write_text(f"FROM {host}/other:1\n")
    result = tonnage(store, here)
    assert (result.returncode, result.stderr.count(b"\n")) == (2, 1)
    assert f"The base image {host}/other:1 can't be pulled".encode() in result.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--platform=linux/riscv64"], "builds for"),
        (["--cache-to=type=local,dest=x"], "--cache-to is not supported"),
        (["--jobs=0"], "--jobs is 1 at least"),
        (["-o", "type=oci,dest=x.tar"], "needs a name"),
        (["-t", "UPPER"], "UPPER"),
        (["-f", "/nothing/here"], "can't be read"),
        (["--target=three"], "There is no stage 'three'"),
        (["--ssh=default=/nothing"], "neither an agent's socket nor a key"),
    ],
)
def test_what_is_refused(store: Store, here: Path, words: list[str], named: str) -> None:
    names = [image.name for image in store.images()]
    result = tonnage(store, *words, here)
    assert (result.returncode, result.stderr.count(b"\n")) == (2, 1), result.stderr
    assert named.encode() in result.stderr
    assert [image.name for image in store.images()] == names

"""ADD from URLs and repositories, and contexts that are neither directories nor files."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig, Unavailable
from runtime.images.archives import save
from tests.runtime.images.archive import archive, member
from tests.runtime.images.registry.server import Asked, Reply, digest_of, serving
from tests.system.runtime.build.images import Built, built, left_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.images.store import Store

pytestmark = pytest.mark.root

CONTENT = b"from afar\n"
ARCHIVE = gzip.compress(archive(member("d", "directory"), member("d/f", content=b"f")))
COMMIT_SECONDS = 1_500_000_000


def answer(asked: Asked) -> Reply:
    files = {
        "/": b"", "/file.txt": CONTENT, "/x.tar.gz": ARCHIVE,
        "/Dockerfile": b"FROM base\nENV U=1\n",
    }  # fmt: skip
    if asked.path not in files:
        return Reply(404)
    if asked.headers.get("If-None-Match") == '"1"':
        return Reply(304)
    headers = {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    return Reply(200, files[asked.path], headers)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_files_from_urls(store: Store, context: Path) -> None:
    with serving(answer) as server:
        url = f"http://{server.host}"
        text = (
            f"FROM base\nADD {url}/file.txt /one/\nADD {url}/file.txt /two\n"
            f"ADD --chown=me --chmod=644 {url}/file.txt a.txt /three/\n"
            f"ADD {url}/x.tar.gz /four/\nADD --unpack {url}/x.tar.gz /five/\n"
            f"ADD --checksum={digest_of(CONTENT)} {url}/file.txt /six/\n"
        )
        made = built(store, context, text)
        assert built(store, context, text).cached == 6
        with pytest.raises(InvalidConfig, match=r"Dockerfile:2: .*has the digest"):
            built(store, context,
                  f"FROM base\nADD --checksum=sha256:{'0' * 64} {url}/file.txt /\n")  # fmt: skip
        with pytest.raises(Unavailable, match="404"):
            built(store, context, f"FROM base\nADD {url}/none /\n")
        with pytest.raises(InvalidConfig, match="has no file name"):
            built(store, context, f"FROM base\nADD {url}/ /x/\n")
    status = made.status("/one/file.txt")
    assert made.read("/one/file.txt") == made.read("/two") == made.read("/six/file.txt")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (
        0o600, 0, 1445412480,
    )  # fmt: skip
    status = made.status("/three/file.txt")
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o644, 1000)
    assert made.read("/three/a.txt") == "a\n"
    assert made.has("/four/x.tar.gz") and not made.has("/four/d")
    assert made.read("/five/d/f") == "f"
    assert left_in(store) == []


@pytest.fixture
def repository(scratch: Path) -> Iterator[str]:
    """Serve a repository with a branch, a tag and a submodule's absence by git's own server."""
    if not shutil.which("git"):
        pytest.skip("git is not installed: apt-get install git")
    work = scratch / "served/work"
    (work / "sub").mkdir(parents=True)
    (work / "Dockerfile").write_text("FROM base\nCOPY . /all/\n")
    (work / "sub/run.sh").write_text("#!/bin/sh\n")
    (work / "sub/run.sh").chmod(0o755)
    (work / "version").write_text("1\n")
    environment = {
        **os.environ, "HOME": str(scratch), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": f"{COMMIT_SECONDS} +0000",
        "GIT_COMMITTER_DATE": f"{COMMIT_SECONDS} +0000",
    }  # fmt: skip

    def git(*words: str) -> None:
        options = ["-c", "user.name=me", "-c", "user.email=me@localhost"]
        subprocess.run(
            ["git", "-C", str(work), *options, *words], check=True, capture_output=True,
            env=environment,
        )  # fmt: skip

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "--message=one")
    git("tag", "--annotate", "--message=first", "v1")
    (work / "version").write_text("2\n")
    git("commit", "--quiet", "--all", "--message=two")
    shutil.copytree(work / ".git", scratch / "served/project.git")
    with served(scratch / "served") as port:
        yield f"git://127.0.0.1:{port}/project.git"


@contextmanager
def served(directory: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [shutil.which("git") or "git", "daemon", "--reuseaddr", "--export-all",
         "--listen=127.0.0.1", f"--port={port}", f"--base-path={directory}", str(directory)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    ) as daemon:  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if daemon.poll() is not None or time.monotonic() > deadline:
                    pytest.skip("git daemon does not start here")
                time.sleep(0.05)
            yield port
        finally:
            os.killpg(daemon.pid, 15)


def test_files_from_a_repository(store: Store, context: Path, repository: str) -> None:
    text = (
        f"FROM base\nADD {repository} /one/\nADD {repository}#v1 /two\n"
        f"ADD {repository}#main:sub /three/\n"
        f"ADD --keep-git-dir=true --chown=me {repository} /four\n"
    )
    made = built(store, context, text)
    assert (made.read("/one/version"), made.read("/two/version")) == ("2\n", "1\n")
    assert not made.has("/one/.git")
    status = made.status("/three/run.sh")
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o755, COMMIT_SECONDS)
    assert made.has("/four/.git/HEAD")
    assert made.status("/four/version").st_uid == 1000
    assert built(store, context, text).cached == 4
    with pytest.raises(InvalidConfig, match="has no branch and no tag 'v9'"):
        built(store, context, f"FROM base\nADD {repository}#v9 /\n")
    with pytest.raises(InvalidConfig, match="has no directory 'nowhere'"):
        built(store, context, f"FROM base\nADD {repository}#:nowhere /\n")
    with pytest.raises(InvalidConfig, match=r"has no directory '\.\./\.\.'"):
        built(store, context, f"FROM base\nADD {repository}#:../.. /\n")
    assert left_in(store) == []


def test_without_git_one_sentence_says_so(
    store: Store, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="git is not installed"):
        built(store, context, "FROM base\nADD git://127.0.0.1/x.git /\n")


def tonnage(
    store: Store, *words: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "lab.cli.main", "image", "build", "--store", str(store.directory),
         "--durability=fast", *words],
        input=stdin, capture_output=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def made(store: Store) -> Built:
    return Built(store, store.image("docker.io/library/made:latest"), [])


def test_a_repository_as_the_context(store: Store, repository: str) -> None:
    done = tonnage(store, "-t", "made", f"{repository}#v1")
    assert done.returncode == 0, done.stderr
    assert made(store).read("/all/version") == "1\n"
    assert left_in(store) == []


def test_a_url_as_the_context(store: Store) -> None:
    with serving(answer) as server:
        done = tonnage(store, "-t", "made", f"http://{server.host}/Dockerfile")
        assert done.returncode == 0, done.stderr
        assert "U=1" in str(made(store).image.config)
        done = tonnage(
            store, "-t", "made", "-f", "-", f"http://{server.host}/x.tar.gz",
            stdin=b"FROM scratch\nCOPY d/f /f\n",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert made(store).read("/f") == "f"


def test_standard_input_as_the_context(store: Store, context: Path) -> None:
    packed = gzip.compress(
        archive(
            member("Dockerfile", content=b"FROM scratch\nCOPY f /f\n"),
            member("other", content=b"FROM scratch\nCOPY . /all/\n"),
            member(".dockerignore", content=b"other\n"), member("f", content=b"packed"),
        )
    )  # fmt: skip
    assert tonnage(store, "-t", "made", "-", stdin=packed).returncode == 0
    assert made(store).read("/f") == "packed"
    assert tonnage(store, "-t", "made", "-f", "other", "-", stdin=packed).returncode == 0
    assert made(store).has("/all/f") and not made(store).has("/all/other")
    done = tonnage(store, "-t", "made", "-", stdin=b"FROM base\nRUN echo x >/x\n")
    assert done.returncode == 0, done.stderr
    assert made(store).read("/x") == "x\n"
    done = tonnage(store, "-t", "made", "-f-", str(context), stdin=b"FROM scratch\nCOPY a.txt /\n")
    assert done.returncode == 0, done.stderr
    assert made(store).read("/a.txt") == "a\n"
    for words, stdin in (
        (["-f", "-", "-"], b""), (["-f", "../x", "-"], packed), (["-"], bytes(100)),
    ):  # fmt: skip
        done = tonnage(store, *words, stdin=stdin)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert left_in(store) == []


def test_an_archive_can_t_leave_the_context(store: Store, scratch: Path) -> None:
    packed = archive(
        member("Dockerfile", content=b"FROM scratch\nCOPY . /\n"),
        member("link", "symlink", linkname=str(scratch)), member("link/out", content=b"out"),
    )  # fmt: skip
    done = tonnage(store, "-", stdin=packed)
    assert not (scratch / "out").exists()
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr


def test_named_contexts(store: Store, context: Path, scratch: Path) -> None:
    (context / ".dockerignore").write_text("b.txt\n")
    text = "FROM base AS own\nRUN echo own >/x\nFROM other\nCOPY --from=own a.tx[t] b.tx[t] /\n"
    made = built(store, context, text, contexts={"own": context, "other": "docker-image://base"})
    assert made.read("/a.txt") == "a\n" and not made.has("/b.txt")
    assert made.read("/etc/passwd").startswith("root")
    name = built(store, context, "FROM scratch\nCOPY a.txt /in-layout\n", names=("packed:1",))
    with (scratch / "packed.tar").open("wb") as file:
        save(store, [name.image.name], file)
    shutil.unpack_archive(scratch / "packed.tar", scratch / "layout")
    for place in (f"{scratch}/layout", f"{scratch}/layout:1"):
        found = built(
            store, context, "FROM x\nCOPY --from=x /in-layout /copy\n",
            contexts={"x": f"oci-layout://{place}"},
        )  # fmt: skip
        assert found.read("/copy") == found.read("/in-layout") == "a\n"
    with pytest.raises(InvalidConfig, match="a directory is no base"):
        built(store, context, "FROM own\n", contexts={"own": context})
    with serving(answer) as server:
        found = built(
            store, context, "FROM scratch\nCOPY --from=x d/f /f\n",
            contexts={"x": f"http://{server.host}/x.tar.gz"},
        )  # fmt: skip
    assert found.read("/f") == "f"

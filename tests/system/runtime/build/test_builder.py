"""Builds: what an image holds, which steps come from the cache, and what a failed build leaves."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from runtime.errors import ContainerError, InvalidConfig
from runtime.images import assembly
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.system.runtime.build.images import Built, built, left_in

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root


def zstd(content: bytes) -> bytes:
    module = pytest.importorskip("backports.zstd", reason="backports.zstd is not in this Python")
    compressed: bytes = module.compress(content)
    return compressed


def test_a_program_runs_and_its_changes_are_a_layer(store: Store, context: Path) -> None:
    made = built(store, context, "FROM base\nRUN echo hello >/x && rm /etc/group\nRUN cat /x >>/y")
    assert made.read("/y") == "hello\n"
    assert not made.has("/etc/group")
    assert len(made.image.manifest.layers) == 3
    assert [step.created_by for step in made.image.config.history or []][-2:] == [
        "RUN /bin/sh -c echo hello >/x && rm /etc/group", "RUN /bin/sh -c cat /x >>/y",
    ]  # fmt: skip


def test_the_environment_of_a_program(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "ARG OUTER=o\nFROM base\nARG OUTER\nARG A=def\nARG P\nENV E=$A-$BASE\n"
        "WORKDIR /w\nUSER me:us\n"
        'USER root\nRUN echo "$OUTER $A $P $E $(pwd) $HOME $BASE" >/out\n'
        "USER me\nRUN echo $(id -u):$(id -g) $HOME >/tmp/who\n",
        arguments={"P": "passed", "A": "given"},
    )  # fmt: skip
    assert made.read("/out") == "o given passed given-1 /w /root 1\n"
    assert made.read("/tmp/who") == "1000:1001 /home/me\n"
    execution = made.image.config.config
    assert execution is not None
    assert execution.env == ["PATH=/bin", "BASE=1", "E=given-1"]
    assert (execution.working_dir, execution.user) == ("/w", "me")


def test_copies(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nWORKDIR /w\n"
        "COPY a.txt one\nCOPY a.txt b.txt two/\nCOPY *.txt /three/\nCOPY sub /four\n"
        "COPY --chown=me:us --chmod=600 a.txt /five/\nCOPY a.txt /etc\nCOPY . .\n",
    )  # fmt: skip
    assert made.read("/w/one") == "a\n"
    assert made.read("/w/two/b.txt") == "b\n"
    assert made.read("/three/a.txt") == "a\n"
    assert made.read("/four/c.txt") == "c\n"
    assert made.read("/four/link") == "c\n"
    assert stat.S_IMODE(made.status("/four/deep/d.sh").st_mode) == 0o755
    assert made.read("/etc/a.txt") == "a\n"
    assert made.has("/etc/passwd")
    status = made.status("/five/a.txt")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 1001, 0o600)
    assert made.read("/w/sub/deep/d.sh").startswith("#!")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_archives_are_unpacked_by_add_alone(
    store: Store, context: Path, compress: Callable[[bytes], bytes]
) -> None:
    content = archive(
        member("d", "directory"), member("d/f", content=b"f", uid=7),
        member("d/h", "hardlink", linkname="d/f"),
    )  # fmt: skip
    (context / "x.tar").write_bytes(compress(content))
    (context / "plain").write_text("no archive")
    (context / "zeros").write_bytes(bytes(2048))
    made = built(store, context, "FROM scratch\nADD x.tar plain zeros /a/\nCOPY x.tar /b/\n")
    assert (made.read("/a/d/f"), made.read("/a/d/h"), made.read("/a/plain")) == (
        "f",
        "f",
        "no archive",
    )
    assert made.status("/a/d/f").st_uid == 7
    assert made.status("/a/zeros").st_size == 2048
    assert made.has("/b/x.tar") and not made.has("/a/x.tar")


def test_sources_that_are_left_out(store: Store, context: Path) -> None:
    made = built(
        store, context, "FROM scratch\nCOPY --exclude=*.txt . /\n", ignored=("sub/*", "!sub/deep")
    )
    assert made.has("/sub/deep/d.sh")
    assert not made.has("/sub/c.txt") and not made.has("/a.txt")


def test_here_documents(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nENV V=v\nRUN <<EOF\necho one >/one\necho $V >>/one\nEOF\n"
        "COPY <<x <<'y' /d/\n$V\nx\n$V\ny\nRUN cat <<E >/two\n$V\nE\n"
        "RUN <<E\n#!/bin/sh\necho script >/three\nE\n",
    )  # fmt: skip
    assert made.read("/one") == "one\nv\n"
    assert (made.read("/d/x"), made.read("/d/y"), made.read("/two")) == ("v\n", "$V\n", "v\n")
    assert made.read("/three") == "script\n"


def test_stages(store: Store, context: Path) -> None:
    text = (
        "FROM base AS one\nRUN echo 1 >/one\nFROM base AS unused\nRUN false\n"
        "FROM scratch AS two\nCOPY --from=one /one /two\nCOPY --from=base /etc/passwd /\n"
        "FROM two\nCOPY --from=0 /one /three\n"
    )
    made = built(store, context, text)
    assert (made.read("/two"), made.read("/three")) == ("1\n", "1\n")
    assert not made.has("/bin")
    assert made.read("/passwd").startswith("root")
    assert built(store, context, text, target="one").has("/bin/sh")


def test_all_is_cached_the_second_time_and_what_follows_a_change_is_not(
    store: Store, context: Path
) -> None:
    text = "FROM base\nRUN echo 1 >/x\nCOPY a.txt /\nRUN echo 2 >/y\n"
    first = built(store, context, text)
    second = built(store, context, text)
    assert (first.cached, second.cached) == (0, 3)
    os.utime(context / "a.txt", (1, 1))
    assert built(store, context, text).cached == 3
    (context / "a.txt").write_text("changed\n")
    third = built(store, context, text, explain=True)
    assert third.cached == 1
    assert any("a.txt has another content" in line for line in third.told)
    assert any("a step before it has changed" in line for line in third.told)
    assert third.read("/a.txt") == "changed\n"
    assert built(store, context, text, use_cache=False).cached == 0


def test_the_same_input_gives_the_same_digest(store: Store, context: Path, scratch: Path) -> None:
    text = "FROM base\nRUN echo 1 >/x && mkdir /d && touch /d/a /d/b\nCOPY . /c\nWORKDIR /w/x\n"
    first, second = (
        built(store, context, text, epoch_seconds=1_000_000_000, use_cache=False).image
        for _ in range(2)
    )
    assert first.descriptor.digest == second.descriptor.digest


def test_mounts_last_for_their_instruction(store: Store, context: Path, scratch: Path) -> None:
    made = built(
        store, context,
        "FROM base\n"
        "RUN --mount=type=secret,id=key cat /run/secrets/key >/len && test -s /len && rm /len\n"
        "RUN --mount=type=cache,target=/cache echo kept >/cache/x\n"
        "RUN --mount=type=cache,target=/cache cat /cache/x >/from-cache\n"
        "RUN --mount=type=bind,source=sub,target=/s cat /s/c.txt >/from-bind\n"
        "RUN --mount=type=tmpfs,target=/t echo x >/t/x\n",
        secrets={"key": b"hush\n"},
    )  # fmt: skip
    assert (made.read("/from-cache"), made.read("/from-bind")) == ("kept\n", "c\n")
    assert not made.has("/cache/x") and not made.has("/t/x") and not made.has("/run/secrets/key")
    assert "hush" not in str(made.image.config)


def test_triggers_run_in_the_build_that_is_based_on_them(store: Store, context: Path) -> None:
    built(store, context, "FROM base\nONBUILD COPY a.txt /triggered\n", names=("trigger",))
    made = built(store, context, "FROM trigger\nRUN cat /triggered >/seen\n")
    assert made.read("/seen") == "a\n"
    assert made.image.config.config is not None
    assert made.image.config.config.on_build is None


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("FROM base\nRUN exit 3\n", ContainerError, "exit code 3"),
        ("FROM base\nRUN [\"/nothing\"]\n", ContainerError, "nothing"),
        ("FROM base\nCOPY nothing /\n", InvalidConfig, r"Dockerfile:2: .*'nothing' is not there"),
        ("FROM base\nCOPY a.txt b.txt /x\n", InvalidConfig, "several sources"),
        ("FROM base\nCOPY --sideways a.txt /x\n", InvalidConfig, "no option --sideways"),
        ("FROM base\nCOPY --chown=nobody-here a.txt /x\n", InvalidConfig, "no user"),
        ("FROM base\nCOPY ../out /x\n", InvalidConfig, "leads out|not there"),
        ("FROM missing-image\n", ContainerError, "There is no image"),
        ("FROM base\nCOPY --from=nowhere /a /b\n", ContainerError, "There is no image"),
        ("RUN x\n", InvalidConfig, "begins with FROM"),
        ("FROM base\nUSER ghost\nRUN true\n", InvalidConfig, "no user 'ghost'"),
        ("FROM base\nRUN --mount=type=odd,target=/x true\n", InvalidConfig, "'odd'"),
        ("FROM base\nRUN --network=moon true\n", InvalidConfig, "moon"),
    ],
)  # fmt: skip
def test_a_failed_build_says_why_and_leaves_no_image(
    store: Store, context: Path, text: str, kind: type[Exception], named: str
) -> None:
    before = [image.name for image in store.images()]
    with pytest.raises(kind, match=named):
        built(store, context, text, names=("new",))
    assert [image.name for image in store.images()] == before
    assert left_in(store) == []


def test_the_verb(store: Store, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM base\nARG A\nRUN echo $A >/a\nCOPY . /c\n")
    (context / ".dockerignore").write_text("sub\nDockerfile\n")

    def tonnage(*words: str) -> subprocess.CompletedProcess[str]:
        options = ["--store", str(store.directory)]
        return subprocess.run(
            [sys.executable, "-m", "lab.cli.main", "image", *words, *options],
            capture_output=True, text=True, check=False, env={**os.environ, "A": "from outside"},
        )  # fmt: skip

    done = tonnage("build", "-t", "made:1", "--build-arg", "A", str(context))
    assert done.returncode == 0, done.stderr
    made = Built(store, store.image("docker.io/library/made:1"), [])
    assert done.stdout == f"docker.io/library/made:1  {made.image.id}\n"
    assert "[stage-0 2/3] RUN echo $A >/a" in done.stderr
    assert made.read("/a") == "from outside\n"
    assert made.has("/c/a.txt") and not made.has("/c/sub") and not made.has("/c/Dockerfile")
    done = tonnage("build", "--quiet", "--build-arg", "A=other", str(context))
    assert done.stdout.startswith("sha256:") and not done.stderr
    done = tonnage("build", str(context / "nothing"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_stage_inherits_the_arguments_of_its_base(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base AS one\nARG A=1\nFROM one\nRUN echo $A >/x\nFROM one AS other\nARG B=$A-2\n"
        "RUN echo $B >/x\n",
        target="other",
    )  # fmt: skip
    assert made.read("/x") == "1-2\n"
    assert "A=1" not in str(made.image.config.config)


def test_a_trigger_keeps_its_here_document(store: Store, context: Path) -> None:
    built(
        store, context, "FROM base\nONBUILD RUN <<EOF\necho one >/x\necho two >>/x\nEOF\n",
        names=("trigger",),
    )  # fmt: skip
    assert built(store, context, "FROM trigger\n").read("/x") == "one\ntwo\n"


def test_arguments_and_secrets_are_in_no_part_of_the_image(store: Store, context: Path) -> None:
    made = built(
        store, context,
        "FROM base\nARG TOKEN\nARG OTHER=default\n"
        "RUN test ${#TOKEN} = 12 && test ${#OTHER} = 12\n"
        "RUN --mount=type=secret,id=s,env=S test ${#S} = 12\nENV A=1\n",
        arguments=dict.fromkeys(("TOKEN", "OTHER", "http_proxy"), "zq-hidden-qz"),
        secrets={"s": b"zq-hidden-qz"}, names=("made",),
    )  # fmt: skip
    image = made.image
    layers = [each.digest for each in image.manifest.layers]
    for digest in (image.descriptor.digest, image.id, *layers):
        content = store.layout.path(digest).read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert b"zq-hidden" not in content


def test_a_cached_build_gives_the_same_image(store: Store, context: Path) -> None:
    text = "FROM base\nENV A=1\nCOPY a.txt /\nRUN echo x >/x\nCMD x\n"
    first = built(store, context, text)
    time.sleep(1.1)  # the times in a configuration are seconds
    second = built(store, context, text)
    assert (second.cached, second.image.id) == (2, first.image.id)
    dated = built(store, context, text, epoch_seconds=1000)
    assert dated.cached == 2
    assert dated.image.config.created == "1970-01-01T00:16:40Z"
    assert {step.created for step in (dated.image.config.history or [])[1:]} == {
        "1970-01-01T00:16:40Z"
    }


def test_a_base_without_a_history_gets_one(store: Store, context: Path) -> None:
    made = built(store, context, "FROM scratch\nCOPY a.txt /\nCOPY b.txt /\nENV A=1\n")
    config = msgspec.structs.replace(made.image.config, history=None)
    with store.lease() as lease:
        assembly.add_image(
            store, lease, config, made.image.manifest.layers, ["docker.io/library/bare:latest"]
        )
    child = built(store, context, "FROM bare\nENV B=1\n")
    history = child.image.config.history or []
    assert [step.empty_layer for step in history] == [False, False, True]

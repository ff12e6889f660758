"""Builds that are killed, interrupted, or find no space: nothing of them is seen afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ContainerError
from runtime.images.store import Store
from tests.system.runtime.build import images
from tests.system.runtime.build.images import built, left_in
from tests.system.runtime.containers import children
from tests.system.runtime.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

BASE = ["docker.io/library/base:latest"]
DEADLINE_SECONDS = 30.0
DOCKERFILE = (
    "FROM base AS one\nRUN echo running >&2; sleep 4321\nFROM base AS two\nRUN sleep 4322\n"
    "FROM scratch\nCOPY --from=one / /\nCOPY --from=two / /\n"
)


def awaited(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def sleepers() -> set[str]:
    """Return which programs of the Dockerfile's RUN instructions run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        found |= {number for number in ("4321", "4322") if f"sleep {number}".encode() in words}
    return found


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["killed", "terminated", "interrupted"],
)
def test_a_build_that_is_ended_leaves_no_container(
    store: Store, context: Path, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.cli.main", "image", "build", "--store", str(store.directory),
         "--jobs=2", "-t", "new", "-f", "-", str(context)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin and process.stderr
        process.stdin.write(DOCKERFILE)
        process.stdin.close()
        awaited(lambda: len(sleepers()) == 2 or process.poll() is not None, "both are running")
        assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == code
    awaited(lambda: not sleepers(), "the containers have ended")
    builds = store.directory / "builds"
    awaited(lambda: list(builds.iterdir()) == [], "the directory is removed")
    assert [image.name for image in store.images()] == BASE
    store.collect()
    assert left_in(store) == []
    again = built(store, context, "FROM base\nRUN echo 1 >/x\n")
    assert again.read("/x") == "1\n"


def test_the_next_build_removes_what_a_loss_of_power_left(store: Store, context: Path) -> None:
    left = store.directory / "builds/abc"
    (left / "containers/gone").mkdir(parents=True)
    (left / "secret").write_text("hush")
    (left / "lock").touch()
    built(store, context, "FROM scratch\nCOPY a.txt /\n")
    assert not left.exists()


@pytest.fixture
def small(scratch: Path) -> Iterator[Store]:
    """A store on a file system of 24 MiB."""
    with small_disk(scratch / "small", 24) as directory:
        store = Store(directory / "store", "fast")
        images.add_base(store)
        yield store


@pytest.mark.parametrize(
    "instruction",
    ["RUN dd if=/dev/zero of=/big bs=1M count=64", "COPY big /big", "ADD big.tar /x/"],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    small: Store, context: Path, instruction: str
) -> None:
    with (context / "big").open("wb") as file:
        file.write(os.urandom(40 << 20))
    subprocess.run(["tar", "-C", context, "-cf", context / "big.tar", "big"], check=True)
    before = children()
    with pytest.raises(ContainerError) as raised:
        built(small, context, f"FROM base\nRUN echo kept >/x\n{instruction}\n", names=("new",))
    assert str(raised.value)
    assert children() == before
    assert [image.name for image in small.images()] == BASE
    assert left_in(small) == []
    (context / "big").unlink()
    (context / "big.tar").unlink()
    assert built(small, context, "FROM base\nRUN echo kept >/x\nCOPY . /\n").cached == 1

"""Descriptors of a container's processes, for any descriptors of the runtime itself.

(CVE-2024-21626; runc issues 2000 and 5474, crun issue 1702)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, sleeps, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.oci.driver import Bundle

STREAMS = ("in", "out", "err")
SUBSETS = [tuple(n for n in range(3) if bits >> n & 1) for bits in range(8)]
NULL = "/dev/null"


def started(
    bundle: Bundle,
    *words: str,
    closed: tuple[int, ...] = (),
    given: tuple[int, ...] = (),
    **environment: str,
) -> subprocess.Popen[bytes]:
    """Start the runtime's command with files at descriptors 0 to 2 and at the `given` ones.

    The `closed` ones are closed first.
    """
    files = dict(enumerate(STREAMS)) | {number: f"given{number}" for number in given}
    placed = [f"{number}<>{name}" for number, name in files.items()]
    places = " ".join([*placed, *(f"{number}<&-" for number in closed)])
    return subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {places}', "sh", bundle.runtime.command,
         "--root", str(bundle.runtime.root), *words],
        cwd=bundle.path, env={**os.environ, **environment},
    )  # fmt: skip


def output(bundle: Bundle) -> str:
    return (bundle.path / "err").read_text()


def ended(bundle: Bundle, *words: str, closed: tuple[int, ...]) -> None:
    """Start the same, and wait until it succeeds."""
    code = started(bundle, *words, closed=closed).wait(DEADLINE_SECONDS)
    assert code == 0, output(bundle)


def descriptors_of(pid: int) -> dict[int, str]:
    """Return the descriptors of a process that sleeps: its loader opens files of its own before."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    directory = Path(f"/proc/{pid}/fd")
    return {int(each.name): str(each.readlink()) for each in directory.iterdir()}


def handed_on(bundle: Bundle, closed: tuple[int, ...]) -> dict[int, str]:
    """Return the descriptors that a process should have."""
    return {
        number: NULL if number in closed else str(bundle.path / name)
        for number, name in enumerate(STREAMS)
    }


@contextmanager
def by_run(bundle: Bundle, closed: tuple[int, ...]) -> Iterator[int]:
    with started(bundle, "run", *made_of(bundle), closed=closed) as process:
        bundle.wait("running")
        yield bundle.state()["pid"]
        bundle.kill()
        assert process.wait(DEADLINE_SECONDS) == 128 + 9


@contextmanager
def by_run_detached(bundle: Bundle, closed: tuple[int, ...]) -> Iterator[int]:
    ended(bundle, "run", "--detach", *made_of(bundle), closed=closed)
    yield bundle.state()["pid"]


@contextmanager
def by_create_and_start(bundle: Bundle, closed: tuple[int, ...]) -> Iterator[int]:
    ended(bundle, "create", *made_of(bundle), closed=closed)
    waiting = descriptors_of(bundle.state()["pid"])
    assert handed_on(bundle, closed).items() <= waiting.items()
    # The streams of `start` itself have no effect.
    ended(bundle, "start", bundle.identity, closed=tuple({0, 1, 2} - set(closed)))
    yield bundle.state()["pid"]


@contextmanager
def by_exec(bundle: Bundle, closed: tuple[int, ...]) -> Iterator[int]:
    bundle.running()
    pid_file = bundle.path / "pid"
    words = ("exec", "--pid-file", str(pid_file), bundle.identity, "sleep", "60")
    with started(bundle, *words, closed=closed) as process:
        waited_for(pid_file.exists, "exec")
        yield int(pid_file.read_text())
        bundle.kill()
        process.wait(DEADLINE_SECONDS)


@contextmanager
def by_exec_detached(bundle: Bundle, closed: tuple[int, ...]) -> Iterator[int]:
    bundle.running()
    pid_file = bundle.path / "pid"
    words = ("exec", "--detach", "--pid-file", str(pid_file), bundle.identity, "sleep", "60")
    ended(bundle, *words, closed=closed)
    yield int(pid_file.read_text())


def made_of(bundle: Bundle) -> tuple[str, ...]:
    bundle.shell("exec sleep 60")
    bundle.write()
    return ("--bundle", str(bundle.path), bundle.identity)


WAYS = [by_run, by_run_detached, by_create_and_start, by_exec, by_exec_detached]


@pytest.mark.parametrize(
    "closed", SUBSETS, ids=lambda numbers: "closed" + "".join(map(str, numbers))
)
@pytest.mark.parametrize("way", WAYS)
def test_closed_streams_are_null(
    bundle: Bundle,
    way: Callable[[Bundle, tuple[int, ...]], object],
    closed: tuple[int, ...],
) -> None:
    """0, 1 and 2 are those of the runtime, or /dev/null; there are no others."""
    with way(bundle, closed) as pid:  # type: ignore[attr-defined]
        waited_for(lambda: sleeps(pid), "it runs")
        assert descriptors_of(pid) == handed_on(bundle, closed)


@pytest.mark.parametrize(
    "closed", SUBSETS, ids=lambda numbers: "closed" + "".join(map(str, numbers))
)
def test_a_hook_has_its_own_streams_and_no_more(bundle: Bundle, closed: tuple[int, ...]) -> None:
    """Hooks on the host get the state on stdin, and their output goes to the runtime's streams."""
    script = (
        "import os, sys; names = os.listdir('/proc/self/fd'); found = [(name, "
        "os.readlink(f'/proc/self/fd/{name}')) for name in names if int(name) < 3 or "
        "os.path.lexists(f'/proc/self/fd/{name}')]; print(*map('='.join, found), "
        "file=open(sys.argv[1], 'w'))"
    )
    names = ("prestart", "createRuntime", "poststart", "poststop")
    bundle.config["hooks"] = {
        name: [
            {
                "path": sys.executable,
                "args": ["python3", "-ISc", script, str(bundle.path / f"hook-{name}")],
            }
        ]
        for name in names
    }
    ended(bundle, "create", *made_of(bundle), closed=closed)
    ended(bundle, "start", bundle.identity, closed=closed)
    ended(bundle, "delete", "--force", bundle.identity, closed=closed)
    for name in names:
        seen = (bundle.path / f"hook-{name}").read_text()
        observed = dict(word.split("=") for word in seen.replace(" (deleted)", "").split())
        assert set(observed) == {"0", "1", "2"}
        assert set(observed.values()) == {"/memfd:state", "/memfd:output"}


@pytest.mark.parametrize("given", [(), (3,), (4,), (3, 5), (3, 4), (3, 4, 5), (3, 4, 5, 6)])
@pytest.mark.parametrize("count", [0, 1, 3, 8])
@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_descriptors_that_are_not_open_are_refused(
    bundle: Bundle, verb: str, count: int, given: tuple[int, ...]
) -> None:
    """--preserve-fds passes 3 to 2+N, which must all be open, and no others."""
    pid_file = bundle.path / "pid"
    if verb == "exec":
        bundle.running()
        words: tuple[str, ...] = (bundle.identity, "sleep", "60")
    else:
        words = made_of(bundle)
    detached = () if verb == "create" else ("--detach",)
    process = started(
        bundle, verb, *detached, "--preserve-fds", str(count), "--pid-file", str(pid_file), *words,
        given=given,
    )  # fmt: skip
    code = process.wait(DEADLINE_SECONDS)
    missing = [number for number in range(3, 3 + count) if number not in given]
    if missing:
        assert code == 1
        assert output(bundle) == (
            f"tonnage-oci: --preserve-fds {count}: descriptor {missing[0]} is not open.\n"
        )
        assert not pid_file.exists()
        assert verb == "exec" or not bundle.runtime.left(bundle.identity)
        return
    assert code == 0, output(bundle)
    if verb == "create":
        bundle.start()
    pid = int(pid_file.read_text())
    waited_for(lambda: sleeps(pid), "it runs")
    kept = {number: str(bundle.path / f"given{number}") for number in range(3, 3 + count)}
    assert descriptors_of(pid) == handed_on(bundle, ()) | kept


@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_sockets_of_systemd_that_are_not_there_are_refused(bundle: Bundle, verb: str) -> None:
    if verb == "exec":
        bundle.running()
        words: tuple[str, ...] = (bundle.identity, "true")
    else:
        words = made_of(bundle)
    process = started(bundle, verb, *words, given=(3,), LISTEN_FDS="2")
    assert process.wait(DEADLINE_SECONDS) == 1
    assert output(bundle) == "tonnage-oci: LISTEN_FDS=2: descriptor 4 is not open.\n"


@pytest.mark.parametrize("count", ["-1", "x", ""])
def test_a_number_of_descriptors_that_is_none(bundle: Bundle, count: str) -> None:
    bundle.shell("true")
    result = bundle.run("--preserve-fds", count)
    assert result.exit_code == 1
    assert "--preserve-fds must be" in result.stderr

"""A user without privileges opens the streams again, as /dev/stdout and the like.

(runc issues 280 and 4475, moby issue 31243, podman issue 16027)
"""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.oci.driver import Bundle

USER, MAPPED = 1000, 100000
WRITES = "echo out >/dev/stdout; echo err >/dev/stderr; echo again >/proc/self/fd/1"


def with_user(bundle: Bundle, uid: int) -> None:
    bundle.process["user"] = {"uid": uid, "gid": uid}


def with_user_namespace(bundle: Bundle) -> None:
    bundle.namespace("user")
    mapping = {"containerID": 0, "hostID": MAPPED, "size": 65536}
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [mapping]
    os.chown(bundle.rootfs, MAPPED, MAPPED)


def called(bundle: Bundle, *words: str, streams: tuple[int, int, int]) -> int:
    """Run the runtime's command with these streams; return its exit code."""
    stdin, stdout, stderr = streams
    return subprocess.run(
        [bundle.runtime.command, "--root", bundle.runtime.root, *words],
        stdin=stdin, stdout=stdout, stderr=stderr, timeout=DEADLINE_SECONDS, check=False,
    ).returncode  # fmt: skip


def piped(call: Callable[[tuple[int, int, int]], object]) -> tuple[str, str]:
    """Return the output of a call whose stdout and stderr are pipes, until all ends are closed."""
    out, stdout = os.pipe()
    err, stderr = os.pipe()
    call((subprocess.DEVNULL, stdout, stderr))
    os.close(stdout)
    os.close(stderr)
    with open(out) as first, open(err) as second:  # noqa: PTH123 - descriptors
        return first.read(), second.read()


def by_run(bundle: Bundle, streams: tuple[int, int, int]) -> None:
    bundle.shell(WRITES)
    bundle.write()
    called(bundle, "run", "--bundle", str(bundle.path), bundle.identity, streams=streams)


def by_create_and_start(bundle: Bundle, streams: tuple[int, int, int]) -> None:
    bundle.shell(WRITES)
    bundle.write()
    called(bundle, "create", "--bundle", str(bundle.path), bundle.identity, streams=streams)
    assert bundle.start()


def by_exec(bundle: Bundle, streams: tuple[int, int, int]) -> None:
    bundle.running()
    called(bundle, "exec", bundle.identity, "sh", "-c", WRITES, streams=streams)


def by_exec_detached(bundle: Bundle, streams: tuple[int, int, int]) -> None:
    bundle.running()
    called(bundle, "exec", "-d", bundle.identity, "sh", "-c", WRITES, streams=streams)


WAYS = [by_run, by_create_and_start, by_exec, by_exec_detached]


@pytest.mark.parametrize("uid", [0, USER])
@pytest.mark.parametrize("namespace", ["host's users", "users of its own"])
@pytest.mark.parametrize("way", WAYS)
def test_pipes_are_the_users(
    bundle: Bundle, way: Callable[[Bundle, tuple[int, int, int]], None], namespace: str, uid: int
) -> None:
    with_user(bundle, uid)
    if namespace == "users of its own":
        with_user_namespace(bundle)
    assert piped(lambda streams: way(bundle, streams)) == ("out\nagain\n", "err\n")


def test_pipes_are_the_users_of_a_namespace_that_is_joined(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    with_user_namespace(bundle)
    bundle.running()
    second = another()
    second.namespace("user", f"/proc/{bundle.state()['pid']}/ns/user")
    os.chown(second.rootfs, MAPPED, MAPPED)
    with_user(second, USER)
    assert piped(lambda streams: by_run(second, streams)) == ("out\nagain\n", "err\n")


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_written_to_is_the_users(
    bundle: Bundle, way: Callable[[Bundle, tuple[int, int, int]], None], tmp_path: Path
) -> None:
    with_user(bundle, USER)
    log = tmp_path / "log"
    with log.open("ab") as file:
        log.chmod(0o600)
        way(bundle, (subprocess.DEVNULL, file.fileno(), file.fileno()))
    waited_for(lambda: "again" in log.read_text(), "it has written")
    assert log.stat().st_uid == USER


@pytest.mark.parametrize("way", [by_run, by_exec])
def test_a_file_that_is_only_read_stays_its_owners(
    bundle: Bundle, way: Callable[[Bundle, tuple[int, int, int]], None], tmp_path: Path
) -> None:
    """Its owner could write to it."""
    with_user(bundle, USER)
    (tmp_path / "file").write_text("kept\n")
    with (tmp_path / "file").open("rb") as file:
        way(bundle, (file.fileno(), subprocess.DEVNULL, subprocess.DEVNULL))
    assert (tmp_path / "file").stat().st_uid == 0


def test_null_stays_its_owners(bundle: Bundle) -> None:
    """crun gives the host's /dev/null to root of a user namespace."""
    before = os.stat("/dev/null").st_uid  # noqa: PTH116
    with_user(bundle, USER)
    by_run(bundle, (subprocess.DEVNULL,) * 3)
    assert os.stat("/dev/null").st_uid == before  # noqa: PTH116


@pytest.mark.parametrize("way", [by_run, by_exec])
def test_a_terminal_is_the_users_for_as_long(
    bundle: Bundle, way: Callable[[Bundle, tuple[int, int, int]], None]
) -> None:
    """The terminal is the runtime's own: process.terminal is false."""
    with_user(bundle, USER)
    primary, secondary = pty.openpty()
    try:
        tty.setraw(secondary)
        way(bundle, (secondary, secondary, secondary))
        assert os.read(primary, 100) == b"out\nerr\nagain\n"
        assert os.fstat(secondary).st_uid == 0
    finally:
        os.close(primary)
        os.close(secondary)


@pytest.mark.parametrize("way", WAYS)
def test_streams_are_given_back_if_nothing_is_started(
    bundle: Bundle, way: Callable[[Bundle, tuple[int, int, int]], None], tmp_path: Path
) -> None:
    with_user(bundle, USER)
    with (tmp_path / "log").open("ab") as file:
        streams = subprocess.DEVNULL, file.fileno(), file.fileno()
        if way in {by_exec, by_exec_detached}:
            bundle.running()
            called(bundle, "exec", bundle.identity, "/none", streams=streams)
        else:
            bundle.process["args"] = ["/none"]
            bundle.write()
            words = ("--bundle", str(bundle.path), bundle.identity)
            called(bundle, "run" if way == by_run else "create", *words, streams=streams)
    assert "/none" in (tmp_path / "log").read_text()
    assert (tmp_path / "log").stat().st_uid == 0

"""podman of a user without privileges runs its containers through our OCI runtime."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from lab.userland import root_tree
from tests.oci.users import FIRST_ID, IDS, NOBODY
from tests.system.engines import engine as engines
from tests.system.engines.engine import IMAGE, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    runtime = engines.runtime_under_test()
    if not runtime:
        pytest.skip("tonnage-oci is not installed")
    for program, package in (("podman", "podman"), ("newuidmap", "uidmap")):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install {package}")
    image: Path = tmp_path_factory.mktemp("image") / "image.tar"
    engines.pack_image(root_tree.build_tree(print), image)
    scratch = cache_directory() / f"e{os.getpid()}r"  # short, for the sockets
    scratch.mkdir()
    try:
        with engines.rootless_podman(runtime, scratch, image) as engine:
            yield engine
    finally:
        shutil.rmtree(scratch)


def test_a_user_runs_and_sees_its_output_and_exit_code(engine: Engine) -> None:
    done = engine.run(IMAGE, "sh", "-c", "id -u; cat /proc/self/uid_map; exit 7")
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == ["0", "0", str(NOBODY), "1", "1", str(FIRST_ID), str(IDS)]


def test_a_user_is_himself_inside(engine: Engine) -> None:
    """`--userns=keep-id`: a user namespace of the container's own in podman's."""
    assert engine.prints("--userns=keep-id", IMAGE, "id", "-u") == str(NOBODY)


def test_a_user_runs_more_inside(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        assert engine.said("exec", name, "sh", "-c", "readlink /proc/1/exe; id -u").split() == [
            "/usr/bin/sleep", "0",
        ]  # fmt: skip
        done = engine("exec", "--user=5:6", name, "sh", "-c", "id -u; id -g; exit 3")
        assert (done.returncode, done.stdout.split()) == (3, ["5", "6"])
        assert "sleep 60" in engine.said("top", name)


def test_a_user_stops_and_removes(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.said("stop", *engine.at_once, name)
        assert engine.inspect(name)["State"]["ExitCode"] == 137
        engine.said("rm", name)
        assert engine.said("ps", "--all", "--quiet") == ""


def test_a_users_container_has_the_devices_and_a_terminal(engine: Engine) -> None:
    done = engine.run("--tty", IMAGE, "sh", "-c", "echo >/dev/null && tty")
    assert done.stdout.strip() == "/dev/pts/0", done.stderr

"""Rootless podman over our OCI runtime."""

from __future__ import annotations

import pytest

from tests.oci.users import FIRST_ID, IDS, NOBODY
from tests.system.engines.engine import IMAGE, Engine

pytestmark = [
    pytest.mark.root,
    pytest.mark.parametrize("engine", ["rootless-podman"], indirect=True),
]


def test_a_user_runs_and_sees_its_output_and_exit_code(engine: Engine) -> None:
    result = engine.run(IMAGE, "sh", "-c", "id -u; cat /proc/self/uid_map; exit 7")
    assert result.returncode == 7, result.stderr
    assert result.stdout.split() == ["0", "0", str(NOBODY), "1", "1", str(FIRST_ID), str(IDS)]


def test_a_user_keeps_his_id_inside(engine: Engine) -> None:
    """`--userns=keep-id`: the container has its own user namespace within podman's."""
    assert engine.prints("--userns=keep-id", IMAGE, "id", "-u") == str(NOBODY)


def test_exec_in_a_users_container(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        assert engine.output("exec", name, "sh", "-c", "readlink /proc/1/exe; id -u").split() == [
            "/usr/bin/sleep", "0",
        ]  # fmt: skip
        result = engine("exec", "--user=5:6", name, "sh", "-c", "id -u; id -g; exit 3")
        assert (result.returncode, result.stdout.split()) == (3, ["5", "6"])
        assert "sleep 60" in engine.output("top", name)


def test_a_user_stops_and_removes(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.output("stop", *engine.at_once, name)
        assert engine.inspect(name)["State"]["ExitCode"] == 137
        engine.output("rm", name)
        assert engine.output("ps", "--all", "--quiet") == ""


def test_a_users_container_has_the_devices_and_a_terminal(engine: Engine) -> None:
    result = engine.run("--tty", IMAGE, "sh", "-c", "echo >/dev/null && tty")
    assert result.stdout.strip() == "/dev/pts/0", result.stderr

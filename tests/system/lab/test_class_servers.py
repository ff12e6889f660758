"""A class's servers on hosts that are against them, and students who do what they may."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import urllib.error
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.lab.class_servers import below, command, request, served, serving

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
# What a teacher may have configured for a Jupyter of their own, under each of its names.
OPEN = """
for name in ("ServerApp", "LabApp", "NotebookApp"):
    c[name].ip = "0.0.0.0"
    c[name].token = ""
    c[name].base_url = "/elsewhere/"
    c[name].root_dir = "/"
c.ServerApp.allow_unauthenticated_access = True
c.ServerApp.disable_check_xsrf = True
c.IdentityProvider.token = ""
"""
FILES = ("jupyter_config.py", "jupyter_server_config.py", "jupyter_lab_config.py")
IN_ETC = """
mount -t tmpfs none /usr/local/etc && cp -r "$0" /usr/local/etc/jupyter && exec "$@"
"""
IN_FULL_TMP = """
mount -t tmpfs -o size=4k none "$0" && exec "$@"
"""
WITHOUT_IPV4 = """
ip link set lo up && ip -4 address flush dev lo && exec "$@"
"""


def refused(arguments: list[str], **environment: str) -> str:
    """Return what a command says that can't serve."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def listening(port: str) -> list[str]:
    """Return the addresses at which a port is listened on."""
    shown = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3] for line in shown.splitlines()]
    return [each.rpartition(":")[0] for each in addresses if each.endswith(f":{port}")]


@pytest.mark.parametrize("place", ["home", "path", "etc"])
def test_no_configuration_of_the_host_opens_a_server(tmp_path: Path, place: str) -> None:
    home = tmp_path / "home"
    evil = home / ".jupyter"
    evil.mkdir(parents=True)
    for name in FILES:
        (evil / name).write_text(OPEN)
    arguments = command(tmp_path / "class")
    if place == "etc":
        arguments = ["unshare", "--mount", "sh", "-c", IN_ETC, str(evil), *arguments]
    environment = {
        "home": {"HOME": str(home), "JUPYTER_TOKEN": ""},
        "path": {"JUPYTER_CONFIG_PATH": str(evil), "JUPYTER_NO_CONFIG": "1"},
        "etc": {},
    }[place]
    with serving(arguments, **environment) as (_, (server,)):
        base, _, token = server["url"].partition("/lab?token=")
        assert listening(base.rpartition(":")[2]) == ["127.0.0.1"]
        for wrong in ("", "x"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                request(f"{base}/api/contents", wrong)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            request(f"{base}/api/kernels", None, b"{}")
        assert request(f"{base}/api/contents", token)["content"]


def test_a_student_who_shuts_the_server_down_ends_no_other(tmp_path: Path) -> None:
    with serving(command(tmp_path, ("a", "b"))) as (process, (first, second)):
        base, _, token = first["url"].partition("/lab?token=")
        with suppress(OSError, http.client.HTTPException, ValueError):  # its answer is empty
            request(f"{base}/api/shutdown", token, b"{}")
        folder = Path(first["folder"])
        for _ in range(300):
            if not below(folder):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        assert below(folder) == []
        base, _, token = second["url"].partition("/lab?token=")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert request(f"{base}/api/contents", token)["content"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_ctrl_c_ends_the_servers_as_soon_as_they_are_named(tmp_path: Path) -> None:
    with served(tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_two_commands_serve_one_folder(tmp_path: Path) -> None:
    both = [
        subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    urls = set()
    for process in both:
        assert process.stdout is not None
        urls.add(json.loads(process.stdout.readline())["servers"][0]["url"])
    for process in both:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert len(urls) == 2
    assert [process.returncode for process in both] == [0, 0]


def test_a_host_without_ipv4_loopback_is_named(tmp_path: Path) -> None:
    alone = ["unshare", "--net", "sh", "-c", WITHOUT_IPV4, "sh"]
    for address in ("127.0.0.1", "::1"):
        said = refused([*alone, *command(tmp_path), "--address", address])
        assert "This host has no address 127.0.0.1" in said


def test_a_full_temporary_directory_is_named(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    arguments = ["unshare", "--mount", "sh", "-c", IN_FULL_TMP, str(full), *command(tmp_path)]
    said = refused(arguments, TMPDIR=str(full))
    assert "No space left on device" in said
    assert str(full) in said


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_that_is_none_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "2026-017"
    path.write_text("") if kind == "file" else path.symlink_to("missing")
    assert f"Can't make the folder {path}: it is no folder" in refused(command(tmp_path))

"""A user without HOME and without an account, as containers and services have them."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

import vms
import vms.paths
from lab import paths
from lab.cli import exit_codes
from lab.cli.main import main
from lab.errors import InvalidConfig
from runtime.errors import Unavailable
from runtime.images import store
from runtime.images.registry import credentials
from runtime.linux import users

VARIABLES = (
    "HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "TONNAGE_CACHE", "TONNAGE_IMAGES",
    "TONNAGE_STATE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
)  # fmt: skip
DIRECTORIES = (paths.cache_directory, store.default_directory, vms.paths.directory)


@pytest.fixture
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_account(_: int) -> None:
        raise KeyError

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_account)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getuid", lambda: 12345)


@pytest.mark.usefixtures("_homeless")
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_directory_of_its_own_is_refused_in_a_sentence(directory: Callable[[], Path]) -> None:
    with pytest.raises(
        (InvalidConfig, Unavailable, vms.Unavailable),
        match="HOME is not set, and user 12345 has no account",
    ):
        directory()


@pytest.mark.usefixtures("_homeless")
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_its_own_variables_do(
    directory: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/work")
    assert directory().is_relative_to("/work")


@pytest.mark.usefixtures("_homeless")
def test_there_are_no_credentials() -> None:
    assert credentials.default_files() == []
    assert credentials.find("docker.io") is None


@pytest.mark.usefixtures("_homeless")
@pytest.mark.parametrize("verb", [("image", "ls"), ("vm", "list"), ("vm", "images"), ("doctor",)])
def test_a_verb_says_so(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(verb) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert "HOME is not set, and user 12345 has no account: set HOME" in output.err
    assert "Traceback" not in output.err


def test_the_home_directory_is_that_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: type("Account", (), {"pw_dir": "/home/a"}))
    assert users.own_home() == "/home/a"

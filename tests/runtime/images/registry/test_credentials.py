"""Credentials from docker's files and helpers, with docker's own names for its registry."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import InvalidConfig, Unavailable
from runtime.images.registry.credentials import Credentials, find

if TYPE_CHECKING:
    from pathlib import Path

AUTH = base64.b64encode(b"me:p:w").decode()


def written(directory: Path, document: Any) -> list[Path]:
    path = directory / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return [path]


def helper(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = directory / "docker-credential-here"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


@pytest.mark.parametrize("key", ["r.io", "https://r.io", "https://r.io/v2/"])
def test_a_name_and_a_password(tmp_path: Path, key: str) -> None:
    files = written(tmp_path, {"auths": {key: {"auth": AUTH}}})
    assert find("r.io", files) == Credentials("me", "p:w")
    assert find("other.io", files) is None


def test_docker_hub_has_a_key_of_its_own(tmp_path: Path) -> None:
    files = written(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}})
    assert find("docker.io", files) == Credentials("me", "p:w")


def test_an_identity_token(tmp_path: Path) -> None:
    files = written(tmp_path, {"auths": {"r.io": {"auth": AUTH, "identitytoken": "t"}}})
    assert find("r.io", files) == Credentials("<token>", "", "t")


def test_no_file_and_no_entry(tmp_path: Path) -> None:
    assert find("r.io", [tmp_path / "none"]) is None
    assert find("r.io", written(tmp_path, {})) is None


def test_the_helper_of_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(
        tmp_path, monkeypatch, 'read key; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"$key\\"}"'
    )
    files = written(tmp_path, {"credHelpers": {"r.io": "here"}})
    assert find("r.io", files) == Credentials("u", "r.io")


def test_the_store_of_all_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"s\\"}"')
    files = written(tmp_path, {"auths": {"r.io": {}}, "credsStore": "here"})
    assert find("r.io", files) == Credentials("<token>", "", "s")


def test_a_helper_that_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert find("r.io", written(tmp_path, {"credHelpers": {"r.io": "here"}})) is None


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("echo no; exit 3", "failed: no"),
        ("echo {}", "something other"),
        ("echo x", "something other"),
    ],
)
def test_a_helper_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, named: str
) -> None:
    helper(tmp_path, monkeypatch, script)
    with pytest.raises(Unavailable, match=named):
        find("r.io", written(tmp_path, {"credHelpers": {"r.io": "here"}}))


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="docker-credential-none is not installed"):
        find("r.io", written(tmp_path, {"credHelpers": {"r.io": "none"}}))


@pytest.mark.parametrize(
    "document", ["", "[]", "{", {"auths": {"r.io": 1}}, {"auths": {"r.io": {"auth": "!"}}},
                 {"auths": {"r.io": {"auth": base64.b64encode(b"no colon").decode()}}}],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, document: Any) -> None:
    with pytest.raises(InvalidConfig, match=r"config\.json"):
        find("r.io", written(tmp_path, document))

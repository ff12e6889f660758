"""Credentials for registries, from docker's configuration file and credential helpers.

(docker login; docker-credential-helpers, "Development")
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import InvalidConfig, Unavailable
from runtime.images.reference import DEFAULT_REGISTRY
from runtime.linux import users

_DOCKER_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 30
_TOKEN_USER = "<token>"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password, or an identity token in place of both."""

    user: str
    password: str
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return f"Basic {pair}"


def find(registry: str, files: list[Path] | None = None) -> Credentials | None:
    """Return the credentials of a registry; None if there are none.

    The first of these files that is there is read: $REGISTRY_AUTH_FILE, podman's auth.json, and
    docker's config.json. Raise InvalidConfig for a damaged file, Unavailable for a helper that
    fails.
    """
    for path in default_files() if files is None else files:
        if path.exists():
            found = _in_file(path, registry)
            if found:
                return found
    return None


def default_files() -> list[Path]:
    """Return the files that credentials are looked for in."""
    environment = os.environ
    if named := environment.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    docker = environment.get("DOCKER_CONFIG")
    with suppress(Unavailable):  # a user without a home directory has no credentials there
        docker = docker or f"{users.own_home()}/.docker"
    runtime_directory = environment.get("XDG_RUNTIME_DIR")
    podman = [Path(runtime_directory) / "containers/auth.json"] if runtime_directory else []
    return [*([Path(docker) / "config.json"] if docker else []), *podman]


def _in_file(path: Path, registry: str) -> Credentials | None:
    try:
        document = json.loads(path.read_bytes())
        auths = dict(document.get("auths") or {})
        helpers = dict(document.get("credHelpers") or {})
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidConfig(f"{path} is no JSON document of docker's: {error}.") from None
    keys = [registry, f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"]
    if registry == DEFAULT_REGISTRY:
        keys = [_DOCKER_KEY, *keys]
    for key in keys:
        if helper := helpers.get(key) or (document.get("credsStore") if key in auths else None):
            found = _from_helper(helper, key)
            if found:
                return found
        if key in auths:
            return _decoded(auths[key], path, key)
    return None


def _decoded(entry: Any, path: Path, key: str) -> Credentials | None:
    if not isinstance(entry, dict):
        raise InvalidConfig(f"{path}: auths.{key} is no object.")
    if token := entry.get("identitytoken"):
        return Credentials(_TOKEN_USER, "", token)
    if "auth" in entry:
        try:
            user, colon, password = (
                base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            )
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise InvalidConfig(f"{path}: auths.{key}.auth is not USER:PASSWORD in base64.")
        return Credentials(user, password.rstrip("\0"))
    if "username" in entry:
        return Credentials(entry["username"], entry.get("password", ""))
    return None


def _from_helper(name: str, key: str) -> Credentials | None:
    """Ask `docker-credential-NAME get`; it says by these words that it has nothing."""
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [program, "get"], input=key, capture_output=True, text=True,
            timeout=_HELPER_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Unavailable(
            f"{program} is not installed, which docker's config.json names."
        ) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{program} did not answer within {_HELPER_SECONDS} s.") from None
    if done.returncode != 0:
        answer = (done.stdout + done.stderr).strip()
        if "credentials not found" in answer:
            return None
        raise Unavailable(f"{program} failed: {answer or done.returncode}.")
    try:
        answered = json.loads(done.stdout)
        user, secret = answered["Username"], answered["Secret"]
    except (ValueError, KeyError, TypeError):
        raise Unavailable(f"{program} answered something other than Username and Secret.") from None
    return Credentials(user, "", secret) if user == _TOKEN_USER else Credentials(user, secret)

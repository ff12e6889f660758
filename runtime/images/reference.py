"""Image references: `debian`, `localhost:5000/app:v1`, `ghcr.io/me/app@sha256:…`.

(distribution/reference, "Grammar"; the defaults are docker's)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from runtime.errors import InvalidConfig

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_NAMED_DEFAULTS = ("docker.io/", "index.docker.io/")

_LONGEST_NAME = 255
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image: a repository of a registry, with a tag, a digest or both."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """The registry and the repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str:
        """The digest if there is one, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def familiar(self) -> str:
        """The short form: `debian:12` for `docker.io/library/debian:12`."""
        repository = self.name
        if self.registry == DEFAULT_REGISTRY:
            repository = self.repository.removeprefix("library/")
        return _joined(repository, self.tag, self.digest)

    def at(self, digest: str) -> Reference:
        """Return the reference with this digest in place of its own."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return _joined(self.name, self.tag, self.digest)


def parse(text: str) -> Reference:
    """Parse a reference and fill in docker's defaults.

    Without a tag and a digest the tag is `latest`. Raise InvalidConfig.
    """
    return _parsed(text, _without_registry)


def parse_location(text: str) -> Reference:
    """Parse a reference whose first part is a registry, whatever its form. Raise InvalidConfig."""
    return _parsed(text, _split_at_slash)


def without_version(text: str) -> tuple[str, str]:
    """Split a reference into its name, and the tag and the digest behind it."""
    name, _ = _without_tag(text.partition("@")[0])
    return name, text[len(name) :]


def is_short(text: str) -> bool:
    """Return True for a reference without a registry, as `debian:12`."""
    name, _ = without_version(text)
    return _without_registry(name)[0] == DEFAULT_REGISTRY and not name.startswith(_NAMED_DEFAULTS)


def _parsed(text: str, split: Callable[[str], tuple[str, str]]) -> Reference:
    rest, at_sign, digest = text.partition("@")
    if at_sign and not is_digest(digest):
        raise _refusal(
            text, f"{digest!r} is not a digest such as sha256: and 64 hexadecimal digits"
        )
    name, tag = _without_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _refusal(
            text, f"{tag!r} is not a tag (letters, digits, '_', '.' and '-', at most 128)"
        )
    registry, repository = split(name)
    if not _DOMAIN.fullmatch(registry):
        raise _refusal(text, f"{registry!r} is not a registry's HOST[:PORT]")
    if not _PATH.fullmatch(repository):
        words = "a repository's name has lower-case letters and digits, joined by '.', '_' or '-'"
        raise _refusal(text, f"{repository!r}: {words}")
    if _IDENTIFIER.fullmatch(name):
        raise _refusal(text, "64 hexadecimal digits are an image's ID and can't be its name")
    if len(registry) + 1 + len(repository) > _LONGEST_NAME:
        raise _refusal(text, f"the name has more than {_LONGEST_NAME} characters")
    if tag is None and not at_sign:
        tag = DEFAULT_TAG
    return Reference(registry, repository, tag, digest or None)


def is_digest(text: str) -> bool:
    """Return True for `sha256:` or `sha512:` and as many hexadecimal digits as it has."""
    return _DIGEST.fullmatch(text) is not None


def _without_tag(text: str) -> tuple[str, str | None]:
    """Split off a tag. The colon of a port is followed by a slash."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def _without_registry(name: str) -> tuple[str, str]:
    """Split the registry off: the first part is one if it can't be a part of docker.io's names."""
    first, slash, rest = name.partition("/")
    if slash and (
        any(sign in first for sign in ".:[") or first == "localhost" or first.lower() != first
    ):
        registry, repository = first, rest
    else:
        registry, repository = DEFAULT_REGISTRY, name
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def _split_at_slash(name: str) -> tuple[str, str]:
    registry, _, repository = name.partition("/")
    return registry, repository


def _joined(name: str, tag: str | None, digest: str | None) -> str:
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _refusal(text: str, why: str) -> InvalidConfig:
    return InvalidConfig(f"{text!r} is not an image reference: {why}.")

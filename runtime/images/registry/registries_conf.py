"""registries.conf: mirrors and other places of images, blocked registries, aliases of short names.

A name without a registry and without an alias is one of docker.io, as for docker; the list
`unqualified-search-registries` is not used. (containers-registries.conf(5), version 2;
containers-registries.conf.d(5))
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import InvalidConfig
from runtime.images.reference import Reference, is_short, parse, parse_location, without_version

_SYSTEM = Path("/etc/containers")
_USER = ".config/containers"
_NAME = "registries.conf"
_PULLS = ("all", "digest-only", "tag-only")
_SEPARATORS = ("", "/", ":", "@")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry or a part of one that images come from. An empty location changes no name.

    `pulls` are the references that it is used for: `all`, `digest-only` or `tag-only`.
    """

    location: str
    insecure: bool = False
    pulls: str = "all"

    def reference(self, reference: Reference, prefix_length: int) -> Reference:
        """Return the reference with its first letters replaced by the location."""
        if not self.location:
            return reference
        return parse_location(self.location + str(reference)[prefix_length:])

    def serves(self, reference: Reference) -> bool:
        """Return True if references of this kind are pulled from it."""
        return self.pulls == "all" or (self.pulls == "digest-only") == bool(reference.digest)


@dataclass(frozen=True, slots=True)
class Source:
    """A place to pull an image from, with the name that the image has there."""

    reference: Reference
    insecure: bool
    is_mirror: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """A [[registry]] table of a file."""

    prefix: str
    endpoint: Endpoint
    blocked: bool
    mirrors: tuple[Endpoint, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Registries:
    """The tables of all files, and the aliases. Later files override earlier ones."""

    tables: dict[str, _Table] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def resolve(self, text: str) -> Reference:
        """Parse a reference; a short name may be an alias. Raise InvalidConfig."""
        name, version = without_version(text)
        alias = self.aliases.get(name) if is_short(text) else None
        return parse(f"{alias or name}{version}")

    def sources(self, reference: Reference) -> list[Source]:
        """Return the places to pull an image from in their order, mirrors first.

        Raise InvalidConfig if the registry is blocked.
        """
        table, length = self._table(reference)
        if table is None:
            return [Source(reference, insecure=False, is_mirror=False)]
        self.check_allowed(reference)
        mirrors = [
            Source(each.reference(reference, length), each.insecure, is_mirror=True)
            for each in table.mirrors
            if each.serves(reference)
        ]
        origin = table.endpoint
        return [*mirrors, Source(origin.reference(reference, length), origin.insecure, False)]

    def is_insecure(self, reference: Reference) -> bool:
        """Return True if plain HTTP and untrusted certificates are allowed for a registry."""
        table, _ = self._table(reference)
        return table is not None and table.endpoint.insecure

    def check_allowed(self, reference: Reference) -> None:
        """Raise InvalidConfig if the registry of a reference is blocked."""
        table, _ = self._table(reference)
        if table is not None and table.blocked:
            raise InvalidConfig(f"{reference.name} is blocked by {table.path}.")

    def _table(self, reference: Reference) -> tuple[_Table | None, int]:
        """Return the table with the longest prefix of a reference, and where the prefix ends."""
        text = str(reference)
        ends = {each.prefix: _match(each.prefix, text) for each in self.tables.values()}
        fitting = [prefix for prefix, end in ends.items() if end]
        if not fitting:
            return None, 0
        longest = max(fitting, key=len)
        return self.tables[longest], ends[longest]


def mirror(location: str, reference: Reference) -> Source:
    """Return the source of an image in a mirror that is named HOST[:PORT][/PATH]."""
    endpoint = Endpoint(location.rstrip("/"))
    length = len(reference.registry)
    return Source(endpoint.reference(reference, length), insecure=False, is_mirror=True)


def load(files: Sequence[Path] | None = None) -> Registries:
    """Return the configuration of these files, by default of those that podman reads.

    Files that are missing are left out. Raise InvalidConfig.
    """
    found = Registries()
    for path in default_files() if files is None else files:
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InvalidConfig(f"{path} can't be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:  # of syntax, encoding, digits or depth
            raise InvalidConfig(f"{path} is not a TOML document: {error}.") from None
        _add(found, document, path)
    return found


def default_files(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the files that podman reads, in its order.

    The user's own registries.conf replaces the system's with its directory.
    """
    user = Path(environment.get("HOME") or "/") / _USER
    named = environment.get("CONTAINERS_REGISTRIES_CONF")
    if named is None and (user / _NAME).exists():
        return [user / _NAME, *_drop_ins(user)]
    main = Path(named) if named else _SYSTEM / _NAME
    return [main, *_drop_ins(_SYSTEM), *_drop_ins(user)]


def _drop_ins(directory: Path) -> list[Path]:
    return sorted((directory / f"{_NAME}.d").glob("*.conf"))


def _add(found: Registries, document: dict[str, Any], path: Path) -> None:
    """Add the content of a file. Raise InvalidConfig."""
    if "registries" in document:
        raise InvalidConfig(
            f"{path} is written in version 1 ([registries.search] and others), which is not read:"
            " use [[registry]] tables."
        )
    tables = document.get("registry", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise InvalidConfig(f"{path}: registry is not an array of tables.")
    for each in tables:
        table = _table_of(each, path)
        found.tables[table.prefix] = table
    aliases = document.get("aliases", {})
    if not isinstance(aliases, dict):
        raise InvalidConfig(f"{path}: aliases is not a table.")
    for name, value in aliases.items():
        if not isinstance(value, str):
            raise InvalidConfig(f"{path}: aliases.{name} is not a string.")
        if value:
            found.aliases[name] = value
        else:
            found.aliases.pop(name, None)


def _table_of(table: dict[str, Any], path: Path) -> _Table:
    location = _place(table, "location", path)
    prefix = _place(table, "prefix", path) or location
    if not prefix:
        raise InvalidConfig(f"{path}: a [[registry]] table has neither prefix nor location.")
    by_digest = _flag(table, "mirror-by-digest-only", path)
    mirrors = table.get("mirror", [])
    if not isinstance(mirrors, list) or not all(isinstance(each, dict) for each in mirrors):
        raise InvalidConfig(f"{path}: the mirrors of {prefix} are not an array of tables.")
    endpoint = Endpoint(
        location or ("" if prefix.startswith("*.") else prefix), _flag(table, "insecure", path)
    )
    return _Table(
        prefix,
        endpoint,
        _flag(table, "blocked", path),
        tuple(_mirror_of(each, prefix, by_digest, path) for each in mirrors),
        path,
    )


def _mirror_of(table: dict[str, Any], prefix: str, by_digest: bool, path: Path) -> Endpoint:
    location = _place(table, "location", path)
    if not location:
        raise InvalidConfig(f"{path}: a mirror of {prefix} has no location.")
    pulls = _string(table, "pull-from-mirror", path)
    if pulls and pulls not in _PULLS:
        words = f"pull-from-mirror is {pulls!r}, not {', '.join(_PULLS)}"
        raise InvalidConfig(f"{path}: the mirror {location}: {words}.")
    if pulls and by_digest:
        words = "has both mirror-by-digest-only and pull-from-mirror"
        raise InvalidConfig(f"{path}: {prefix} {words}.")
    pulls = pulls or ("digest-only" if by_digest else "all")
    return Endpoint(location, _flag(table, "insecure", path), pulls)


def _match(prefix: str, text: str) -> int:
    """Return the end of a prefix in a reference, or 0 if the reference does not begin with it.

    `*.example.com` is the prefix of all names of the hosts below example.com.
    """
    start = 0
    if prefix.startswith("*."):
        prefix = prefix[1:]
        start = text.find(prefix)
        if start < 1 or "/" in text[:start]:
            return 0
    end = start + len(prefix)
    return end if text.startswith(prefix, start) and text[end : end + 1] in _SEPARATORS else 0


def _place(table: dict[str, Any], key: str, path: Path) -> str:
    text = _string(table, key, path)
    if "://" in text:
        raise InvalidConfig(f"{path}: {key} is {text!r}: leave out the scheme.")
    return text.rstrip("/")


def _string(table: dict[str, Any], key: str, path: Path) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise InvalidConfig(f"{path}: {key} is {value!r}, not a string.")
    return value


def _flag(table: dict[str, Any], key: str, path: Path) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise InvalidConfig(f"{path}: {key} is {value!r}, not true or false.")
    return value

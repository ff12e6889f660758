"""COPY and ADD: their sources, destination, owner and mode.

(docker, "Dockerfile reference", "COPY", "ADD")
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.build.dockerfile import Heredoc, Instruction
from runtime.build.settings import Settings
from runtime.errors import InvalidConfig
from runtime.images import lookup, tar_reader, tar_writer
from runtime.images.tar_reader import Entry

_OPTIONS = {
    "copy": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "add": ("chown", "chmod", "link", "keep-git-dir", "checksum", "exclude"),
}
_MODE = re.compile(r"[0-7]{3,4}")
_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644


@dataclass(frozen=True, slots=True)
class Group:
    """Sources with one destination. With `into` it is a directory."""

    sources: list[str]
    destination: str
    into: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A copy with all names resolved."""

    source: str | None
    groups: list[Group]
    heredocs: list[tuple[str, str]]
    owner: tuple[int, int] | None
    mode: int | None
    parents: bool
    exclude: list[str]
    words: list[str]
    shown: str

    @property
    def documents(self) -> list[tuple[str, str]]:
        """Names and digests of the files from here-documents."""
        return [(name, hashlib.sha256(text.encode()).hexdigest()) for name, text in self.heredocs]


def plan(instruction: Instruction, settings: Settings, layers: Sequence[Path]) -> Plan:
    """Return the plan of an instruction. `layers` are those of the image so far.

    Raise InvalidConfig.
    """
    options = _options(instruction)
    words = [settings.expanded(word) for word in instruction.words]
    if len(words) < 2:
        raise InvalidConfig(f"{instruction.keyword.upper()} needs a source and a destination")
    *sources, target = words
    documents = {f"<<{'-' if each.chomped else ''}{each.name}" for each in instruction.heredocs}
    plain = [each for each in sources if each not in documents]
    destination = settings.path(target)
    several = len(sources) > 1 or any("*" in each or "?" in each for each in plain)
    into = target.endswith("/") or target in (".", "..") or lookup.is_directory(layers, destination)
    if several and not into and len(sources) > 1:
        raise InvalidConfig(f"several sources need a directory, so write {target}/")
    for each in plain:
        if instruction.keyword == "add" and "://" in each:
            raise InvalidConfig(f"ADD from a URL is not supported yet: fetch {each} by RUN")
    owner = None
    if chown := options.get("chown"):
        user = lookup.user(layers, settings.expanded(chown[-1]))
        owner = (user.uid, user.gid)
    shown = " ".join((instruction.keyword.upper(), *instruction.flags, *words))
    return Plan(
        source=settings.expanded(options["from"][-1]) if "from" in options else None,
        groups=[Group(plain, destination, into or several)] if plain else [],
        heredocs=[
            _document(each, settings, destination, into=into) for each in instruction.heredocs
        ],
        owner=owner,
        mode=_mode(options),
        parents="parents" in options,
        exclude=[settings.expanded(each) for each in options.get("exclude", [])],
        words=[instruction.keyword, destination, str(into), *instruction.flags],
        shown=shown,
    )


def written(found: Plan, latest_ns: int | None) -> Iterator[Iterator[bytes]]:
    """Yield an archive of the files from here-documents, if there are any."""
    if found.heredocs:
        yield _documents(found, latest_ns)


def directory(path: str, latest_ns: int | None) -> Iterator[bytes]:
    """Yield an archive of one directory."""
    mtime_ns = 0 if latest_ns is None else latest_ns
    name = path.strip("/").encode() + b"/"
    entry = Entry(name, tar_reader.DIRECTORY, _DIRECTORY_MODE, 0, 0, 0, 0, mtime_ns, b"", 0, 0)
    yield from tar_writer.document(entry, b"")
    yield tar_writer.END


def _documents(found: Plan, latest_ns: int | None) -> Iterator[bytes]:
    owner = found.owner or (0, 0)
    for name, text in found.heredocs:
        content = text.encode()
        size, mode = len(content), _FILE_MODE if found.mode is None else found.mode
        entry = Entry(
            name.strip("/").encode(), tar_reader.REGULAR, mode, *owner, size, size,
            0 if latest_ns is None else latest_ns, b"", 0, 0,
        )  # fmt: skip
        yield from tar_writer.document(entry, content)
    yield tar_writer.END


def _document(
    heredoc: Heredoc, settings: Settings, destination: str, *, into: bool
) -> tuple[str, str]:
    text = settings.expanded(heredoc.content) if heredoc.expanded else heredoc.content
    return (posixpath.join(destination, heredoc.name) if into else destination), text


def _options(instruction: Instruction) -> dict[str, list[str]]:
    """Return the flags by name. A flag without a value has `true`. Raise InvalidConfig."""
    options: dict[str, list[str]] = {}
    for flag in instruction.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in _OPTIONS[instruction.keyword]:
            raise InvalidConfig(f"{instruction.keyword.upper()} has no option --{name}")
        if name in ("link", "parents") and value == "false":
            continue
        options.setdefault(name, []).append(value if equals else "true")
    return options


def _mode(options: dict[str, list[str]]) -> int | None:
    if "chmod" not in options:
        return None
    text = options["chmod"][-1]
    if not _MODE.fullmatch(text):
        raise InvalidConfig(f"--chmod={text} is no mode such as 644 or 0755")
    return int(text, 8)

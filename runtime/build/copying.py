"""COPY and ADD: their sources, destination, owner and mode.

(docker, "Dockerfile reference", "COPY", "ADD")
"""

from __future__ import annotations

import posixpath
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.build import git_source, modes
from runtime.build.dockerfile import Heredoc, Instruction
from runtime.build.git_source import Repository
from runtime.build.settings import Settings
from runtime.build.urls import check_checksum, is_url
from runtime.errors import InvalidConfig
from runtime.images import lookup, tar_reader, tar_writer
from runtime.images.tar_reader import Entry

_OPTIONS = {
    "copy": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "add": ("chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"),
}
_SWITCHES = ("link", "parents", "keep-git-dir", "unpack")
_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644


@dataclass(frozen=True, slots=True)
class Plan:
    """A copy with all names resolved.

    Local sources are `sources`, in the context or in `origin`, a stage or an image. With `into` the
    destination is a directory for files; with `keeps_destination` it has its own mode already.
    `new_directories` are the parents of the destination that the image lacks. `unpack` is None if
    it was not asked for: ADD unpacks local archives then.
    """

    origin: str | None
    sources: list[str]
    urls: list[str]
    repositories: list[Repository]
    documents: list[tuple[str, str]]
    destination: str
    into: bool
    keeps_destination: bool
    new_directories: list[str]
    owner: tuple[int, int] | None
    mode: str | None
    parents: bool
    exclude: list[str]
    unpack: bool | None
    checksum: str | None
    keeps_history: bool
    words: list[str]
    shown: str


def plan(instruction: Instruction, settings: Settings, layers: Sequence[Path]) -> Plan:
    """Return the plan of an instruction. `layers` are those of the image so far.

    Raise InvalidConfig.
    """
    options, switches = _options(instruction, settings)
    words = [settings.expanded(word) for word in instruction.words]
    if len(words) < 2:
        raise InvalidConfig(f"{instruction.keyword.upper()} needs a source and a destination")
    *sources, target = words
    documents = {f"<<{'-' if each.chomped else ''}{each.name}" for each in instruction.heredocs}
    repositories, urls, local = _kinds([each for each in sources if each not in documents])
    _check(instruction, options, urls, repositories)
    destination = settings.path(target)
    if not switches["link"]:
        destination = lookup.resolved(layers, destination)
    ends_open = target.endswith(("/", "/.")) or target in (".", "..")
    # With --link the step must not depend on the image below it. (docker, "COPY --link")
    exists = not switches["link"] and lookup.is_directory(layers, destination)
    if len(sources) > 1 and not (ends_open or exists):
        raise InvalidConfig(f"several sources need a directory, so write {target}/")
    owner = None
    if chown := options.get("chown"):
        # A number alone is the group's, too. (docker, "COPY --chown")
        text = f"{chown[-1]}:{chown[-1]}" if chown[-1].isdecimal() else chown[-1]
        user = lookup.user(layers, text)
        owner = (user.uid, user.gid)
    into = ends_open or exists
    is_directory = ends_open or bool(switches["parents"])
    return Plan(
        origin=options["from"][-1] if "from" in options else None,
        sources=local,
        urls=urls,
        repositories=repositories,
        documents=[
            _document(each, settings, destination, into=into) for each in instruction.heredocs
        ],
        destination=destination,
        into=into,
        keeps_destination=into,
        new_directories=_missing(
            layers, destination if is_directory else posixpath.dirname(destination)
        ),
        owner=owner,
        mode=_mode(options),
        parents=bool(switches["parents"]),
        exclude=options.get("exclude", []),
        unpack=switches["unpack"],
        checksum=options["checksum"][-1] if "checksum" in options else None,
        keeps_history=bool(switches["keep-git-dir"]),
        words=[instruction.keyword, destination, str(into), *instruction.flags],
        shown=" ".join((instruction.keyword.upper(), *instruction.flags, *words)),
    )


def new_directories(found: Plan, latest_ns: int | None) -> Iterator[bytes]:
    """Yield the entries of the parent directories that the image lacks."""
    for path in found.new_directories:
        yield from _directory(path, found.owner or (0, 0), latest_ns)


def directory(path: str, latest_ns: int | None) -> Iterator[bytes]:
    """Yield the entry of one directory."""
    yield from _directory(path, (0, 0), latest_ns)


def documents(found: Plan, latest_ns: int | None) -> Generator[bytes, None, None]:
    """Yield the entries of the files from here-documents."""
    for name, text in found.documents:
        content = text.encode()
        mode, size = _FILE_MODE, len(content)
        if found.mode is not None:
            mode = modes.changed(found.mode, mode, is_directory=False)
        entry = Entry(
            name.strip("/").encode(), tar_reader.REGULAR, mode, *(found.owner or (0, 0)), size,
            size, 0 if latest_ns is None else latest_ns, b"", 0, 0,
        )  # fmt: skip
        yield from tar_writer.document(entry, content)


def _directory(path: str, owner: tuple[int, int], latest_ns: int | None) -> Iterator[bytes]:
    mtime_ns = 0 if latest_ns is None else latest_ns
    name = path.strip("/").encode() + b"/"
    entry = Entry(name, tar_reader.DIRECTORY, _DIRECTORY_MODE, *owner, 0, 0, mtime_ns, b"", 0, 0)
    yield from tar_writer.document(entry, b"")


def _kinds(sources: list[str]) -> tuple[list[Repository], list[str], list[str]]:
    """Return the repositories, the URLs and the local files among sources."""
    repositories, urls, local = [], [], []
    for each in sources:
        if repository := git_source.parse(each):
            repositories.append(repository)
        elif is_url(each):
            urls.append(each)
        else:
            local.append(each)
    return repositories, urls, local


def _check(
    instruction: Instruction,
    options: dict[str, list[str]],
    urls: list[str],
    repositories: list[Repository],
) -> None:
    """Raise InvalidConfig for options and sources that don't fit."""
    if instruction.keyword == "copy" and (urls or repositories):
        raise InvalidConfig("COPY reads no URLs and no repositories: use ADD")
    if "checksum" in options:
        if len(urls) != 1 or len(instruction.words) != 2:
            raise InvalidConfig("--checksum belongs to one source, a URL")
        check_checksum(options["checksum"][-1])


def _missing(layers: Sequence[Path], path: str) -> list[str]:
    """Return the directories from the root to `path` that the image lacks."""
    parts = [part for part in path.split("/") if part]
    paths = ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return [each for each in paths if lookup.find(layers, each) is None]


def _document(
    heredoc: Heredoc, settings: Settings, destination: str, *, into: bool
) -> tuple[str, str]:
    text = settings.expanded_document(heredoc.content) if heredoc.expanded else heredoc.content
    return (posixpath.join(destination, heredoc.name) if into else destination), text


def _options(
    instruction: Instruction, settings: Settings
) -> tuple[dict[str, list[str]], dict[str, bool | None]]:
    """Return the flags with values by name, and the switches. Raise InvalidConfig."""
    options: dict[str, list[str]] = {}
    switches: dict[str, bool | None] = dict.fromkeys(_SWITCHES)
    for flag in instruction.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in _OPTIONS[instruction.keyword]:
            raise InvalidConfig(f"{instruction.keyword.upper()} has no option --{name}")
        if name in _SWITCHES:
            if equals and value not in ("true", "false"):
                raise InvalidConfig(f"--{name}={value} is neither true nor false")
            switches[name] = value != "false"
        elif not value:
            raise InvalidConfig(f"--{name} needs a value")
        else:
            # The stage of --from is known before any variable is.
            text = value if name == "from" else settings.expanded(value)
            options.setdefault(name, []).append(text)
    return options, switches


def _mode(options: dict[str, list[str]]) -> str | None:
    if "chmod" not in options:
        return None
    modes.check(options["chmod"][-1])
    return options["chmod"][-1]

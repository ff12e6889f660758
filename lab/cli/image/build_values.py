"""The values of the options of `tonnage image build`, read before anything is built."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST_SECRET_BYTES = 500 << 10  # BuildKit's limit
_UNLIMITED = (1 << 64) - 1
_LIMITS = frozenset({
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip
_OUTPUTS = ("image", "docker", "oci", "local", "tar")
_IMAGES = ("docker-image://", "oci-layout://")


@dataclass(frozen=True, slots=True)
class Output:
    """Where the result goes: the store (`image`), or an archive or a directory at `destination`."""

    kind: str = "image"
    destination: str = ""
    names: tuple[str, ...] = ()


def arguments(words: Sequence[str]) -> dict[str, str]:
    """Return build arguments. Without a value, take that of the environment if it is set."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise InvalidConfig(f"--build-arg {word!r} has no name.")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """Return names and values. Raise InvalidConfig for an empty name."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name:
            raise InvalidConfig(f"{option} {word!r} has no name.")
        found[name] = value
    return found


def manifest_annotations(words: Sequence[str]) -> dict[str, str]:
    """Return the annotations of the manifest. Raise InvalidConfig for those of other documents."""
    found = {}
    for name, value in pairs(words, "--annotation").items():
        level, colon, rest = name.partition(":")
        if colon and level in ("index", "index-descriptor", "manifest-descriptor"):
            raise InvalidConfig(f"--annotation {name}: the image has a manifest and no index.")
        found[rest if colon and level == "manifest" else name] = value
    return found


def secrets(words: Sequence[str]) -> dict[str, bytes]:
    """Return secrets by id: `id=NAME`, then `src=FILE`, `env=VARIABLE`, or what has that name."""
    found = {}
    for word in words:
        fields = _fields(word, "--secret")
        name = fields.get("id", "")
        path = fields.get("src") or fields.get("source") or ""
        variable = fields.get("env", "")
        if not name or fields.get("type", "file") not in ("file", "env"):
            raise InvalidConfig(f"--secret {word!r} is not id=NAME,src=FILE or id=NAME,env=NAME.")
        if fields.get("type") == "env" or (not path and not variable and name in os.environ):
            variable = variable or path or name
        if variable:
            if variable not in os.environ:
                raise InvalidConfig(f"--secret {word!r}: the variable {variable} is not set.")
            content = os.environb[os.fsencode(variable)]
        else:
            content = _content(Path(path or name), word)
        if len(content) > _LARGEST_SECRET_BYTES:
            raise InvalidConfig(f"--secret {word!r} has more than {_LARGEST_SECRET_BYTES} bytes.")
        found[name] = content
    return found


def agents(words: Sequence[str]) -> dict[str, list[Path]]:
    """Return the sockets or keys of ssh agents by id: `default`, or `ID=PATH[,PATH…]`."""
    found = {}
    for word in words:
        name, equals, rest = word.partition("=")
        if equals:
            paths = [Path(each) for each in rest.split(",") if each]
        else:
            given = os.environ.get("SSH_AUTH_SOCK")
            if not given:
                raise InvalidConfig(f"--ssh {word}: there is no agent: SSH_AUTH_SOCK is not set.")
            paths = [Path(given)]
        if not name or not paths:
            raise InvalidConfig(f"--ssh {word!r} is not default or ID=PATH.")
        found[name] = paths
    return found


def contexts(words: Sequence[str]) -> dict[str, str | Path]:
    """Return named contexts: directories, and texts that name images, layouts and URLs."""
    from runtime.build import remote_context

    found: dict[str, str | Path] = {}
    for name, value in pairs(words, "--build-context").items():
        if Path(value).is_dir():
            found[name] = Path(value).resolve()
        elif value.startswith(_IMAGES) or remote_context.is_remote(value):
            found[name] = value
        else:
            expected = "not NAME=DIR, docker-image://IMAGE, oci-layout://DIR or a URL"
            raise InvalidConfig(f"--build-context {name}={value} is {expected}.")
    return found


def hosts(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return names and addresses: `NAME:ADDRESS` or `NAME=ADDRESS`."""
    import ipaddress

    found = []
    for word in words:
        separator = "=" if "=" in word else ":"
        name, _, address = word.partition(separator)
        address = address.removeprefix("[").removesuffix("]")
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidConfig(f"--add-host {word!r} is not NAME:ADDRESS.") from None
        if not name or any(sign.isspace() for sign in name):
            raise InvalidConfig(f"--add-host {word!r} has no name.")
        found.append((name, address))
    return tuple(found)


def limits(words: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Return resource limits: `NAME=SOFT[:HARD]`, -1 for none."""
    found = {}
    for word in words:
        name, _, values = word.partition("=")
        soft, colon, hard = values.partition(":")
        try:
            low, high = _limit(soft), _limit(hard if colon else soft)
        except ValueError:
            raise InvalidConfig(f"--ulimit {word!r} is not NAME=SOFT[:HARD].") from None
        if name not in _LIMITS or low > high:
            raise InvalidConfig(f"--ulimit {word!r}: no such limit, or soft exceeds hard.")
        found[name] = (name, low, high)
    return tuple(found.values())


def shared_memory_bytes(text: str | None) -> int | None:
    """Return a size such as 64m in bytes. Raise InvalidConfig."""
    from runtime.build.run_mounts import size_bytes
    from runtime.errors import InvalidConfig as NoSize

    if text is None:
        return None
    try:
        return size_bytes(text)
    except NoSize as error:
        raise InvalidConfig(f"--shm-size: {error}.") from None


def allowed(words: Sequence[str]) -> bool:
    """Return True if `security.insecure` is among the entitlements. Raise InvalidConfig."""
    for word in words:
        if word not in ("security.insecure", "network.host"):
            raise InvalidConfig(f"--allow {word!r} is neither security.insecure nor network.host.")
    return "security.insecure" in words


def output(words: Sequence[str]) -> Output:
    """Return the output: `DIR`, `-` for an archive, or `type=KIND,dest=PATH`."""
    if not words:
        return Output()
    if len(words) > 1:
        raise InvalidConfig("--output is given twice: build once for each, from the cache.")
    text = words[0]
    if "=" not in text:
        return Output("tar" if text == "-" else "local", text)
    fields = _fields(text, "--output")
    kind = fields.get("type", "")
    destination = fields.get("dest") or fields.get("destination") or ""
    if kind not in _OUTPUTS:
        raise InvalidConfig(f"--output: type={kind} is none of {', '.join(_OUTPUTS)}.")
    if fields.get("push", "false") != "false":
        raise InvalidConfig("--output: push is not done here: run `tonnage image push` afterwards.")
    if kind in ("local", "tar", "oci") and not destination:
        raise InvalidConfig(f"--output type={kind} needs dest=PATH.")
    names = tuple(each for each in fields.get("name", "").split(",") if each)
    return Output("image" if not destination else kind, destination, names)


def epoch_seconds() -> int | None:
    """Return SOURCE_DATE_EPOCH, or None if it is not set. Raise InvalidConfig."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    if not text.isdecimal():
        raise InvalidConfig(f"SOURCE_DATE_EPOCH is {text!r}, which is not a number of seconds.")
    return int(text)


def _limit(text: str) -> int:
    value = int(text)
    if value < -1:
        raise ValueError(text)
    return _UNLIMITED if value == -1 else value


def _fields(text: str, option: str) -> dict[str, str]:
    fields = {}
    for part in next(csv.reader([text]), []):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidConfig(f"{option}: {part!r} is not NAME=VALUE.")
        fields[name.strip().lower()] = value
    return fields


def _content(path: Path, word: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"--secret {word!r}: {path} can't be read: {error.strerror}.") from None

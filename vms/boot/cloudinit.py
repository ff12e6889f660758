"""The seed that a cloud image reads at its first boot: cloud-init's NoCloud data source.

A small image with the label `cidata`, given to the machine as a read-only disk. (cloud-init,
"NoCloud", "User data formats" and "Networking config version 2")
"""

from __future__ import annotations

import json
import re
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vms.boot import iso9660, ssh_keys
from vms.description.identity import hostname_of
from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

_LABEL = "cidata"
_META_DATA = "meta-data"
# What user data may begin with, in letters of either case and behind blank lines; anything else
# cloud-init passes over without a word.
_BEGINNINGS = (
    b"#cloud-config", b"#cloud-boothook", b"#include", b"#part-handler",
    b"#!", b"## template:",
)  # fmt: skip
# A message of any kind: its headers, of which one says so, end at the first empty line.
_MIME, _MIME_WITHIN_BYTES = b"mime-version:", 4096
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# Top-level lines of meta data in YAML that say which machine it is for.
_IDENTITY = re.compile(r"^(?:instance-id|local-hostname|hostname|instance_id)[ \t]*:.*\n?", re.M)
_DOCUMENT_START = re.compile(r"^---.*\n?", re.M)


def _new_instance() -> str:
    return f"iid-{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Seed:
    """What a machine is told of itself.

    `ssh_keys` are texts as of an authorized_keys file, whose keys let their owners in as the
    image's default user. `user_data` and `network_config` are handed on byte for byte; without a
    network's the image asks DHCP. By its `instance_id` cloud-init tells a new machine, for which it
    makes host keys and all else anew, from one that boots once more.
    """

    hostname: str
    ssh_keys: tuple[str, ...] = ()
    user_data: bytes = b"#cloud-config\n{}\n"
    network_config: bytes | None = None
    instance_id: str = field(default_factory=_new_instance)

    def check(self) -> None:
        """Refuse what cloud-init would pass over in silence. Raises MachineError."""
        self._public_keys()
        if objection := _objection(self.user_data):
            raise MachineError(f"The user data {objection}.")

    def files(self) -> dict[str, bytes]:
        """What lies in the seed. Raises MachineError."""
        meta_data = {  # in JSON, which YAML reads as well
            "instance-id": self.instance_id,
            "local-hostname": hostname_of(self.hostname),
            "public-keys": self._public_keys(),
        }
        found = {"user-data": self.user_data, _META_DATA: json.dumps(meta_data).encode()}
        if self.network_config is not None:
            found["network-config"] = self.network_config
        return found

    def _public_keys(self) -> list[str]:
        texts = enumerate(self.ssh_keys, start=1)
        found = (ssh_keys.public_keys(text, f"ssh key {number}") for number, text in texts)
        return list(dict.fromkeys(key for keys in found for key in keys))


def write_seed(seed: Seed, path: Path) -> None:
    """Write the seed's image. Raises MachineError."""
    seed.check()
    _write(seed.files(), path)


def copy_seed(source: Path, path: Path, hostname: str) -> None:
    """Write a copy of a seed for another machine: its name and its instance are its own.

    Raises MachineError.
    """
    files = iso9660.read(source).files
    if _META_DATA not in files:
        raise MachineError(f"{source} has no {_META_DATA}: detach it, or make it anew.")
    _write({**files, _META_DATA: _renamed(files[_META_DATA], hostname)}, path)


def is_seed(path: Path) -> bool:
    """Return True for an image that cloud-init looks into."""
    try:
        return iso9660.read(path).label.lower() == _LABEL
    except MachineError:
        return False


def _renamed(meta_data: bytes, hostname: str) -> bytes:
    identity = {"instance-id": _new_instance(), "local-hostname": hostname_of(hostname)}
    text = meta_data.decode(errors="surrogateescape")
    try:
        document = json.loads(text)
    except ValueError:  # YAML, whose lines at the margin are the keys
        if text.lstrip().startswith("{"):
            raise MachineError(
                f"The {_META_DATA} of the seed is neither JSON nor lines of YAML."
            ) from None
        lines = "".join(f"{key}: {value}\n" for key, value in identity.items())
        start = _DOCUMENT_START.search(text)
        at = start.end() if start else 0
        others = _IDENTITY.sub("", text[at:])
        return f"{text[:at]}{lines}{others}".encode(errors="surrogateescape")
    kept = {key: value for key, value in document.items() if key not in {"hostname", "instance_id"}}
    return json.dumps({**kept, **identity}).encode()


def _write(files: dict[str, bytes], path: Path) -> None:
    try:
        with path.open("xb") as file:
            iso9660.write(file, _LABEL, files)
    except OSError as error:
        raise MachineError(f"Can't write {path}: {error.strerror}.") from error


def _objection(user_data: bytes) -> str:
    """Return what keeps cloud-init from knowing the user data; empty if it does know it.

    (cloud-init, cloudinit/user_data.py: type_from_starts_with, convert_string)
    """
    if user_data.startswith(_GZIP):
        try:
            user_data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(
                user_data, _MIME_WITHIN_BYTES
            )
        except zlib.error:
            return "begins as gzip does, and is not: compress it anew"
    if user_data.startswith(_BYTE_ORDER_MARKS):
        return "begins with a byte order mark, with which cloud-init does not know it: save it as" \
            " plain UTF-8"  # fmt: skip
    begins = user_data[:_MIME_WITHIN_BYTES].lower()
    if not begins.strip() or begins.lstrip().startswith(_BEGINNINGS) or _MIME in begins:
        return ""
    return "must begin with #cloud-config, #! or the like"

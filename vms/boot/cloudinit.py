"""Seeds for cloud-init: the NoCloud data source, which a cloud image reads at its first boot.

A seed is a small image with the label `cidata`, attached to the machine as a read-only disk.
(cloud-init, "NoCloud", "User data formats" and "Networking config version 2")
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
from vms.errors import InvalidDescription, InvalidImage, MachineError, os_error

if TYPE_CHECKING:
    from pathlib import Path

_LABEL = "cidata"
_META_DATA = "meta-data"
# Markers at the start of user data, in any case and after blank lines. cloud-init ignores user data
# without one silently.
_MARKERS = (
    b"#cloud-config", b"#cloud-boothook", b"#include", b"#part-handler",
    b"#!", b"## template:",
)  # fmt: skip
# A MIME message has no such marker, but this header, before its first empty line.
_MIME, _MIME_WITHIN_BYTES = b"mime-version:", 4096
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# Top-level lines of meta-data in YAML that identify the machine.
_IDENTITY = re.compile(r"^(?:instance-id|local-hostname|hostname|instance_id)[ \t]*:.*\n?", re.M)
_DOCUMENT_START = re.compile(r"^---.*\n?", re.M)


def _new_instance() -> str:
    return f"iid-{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Seed:
    """The data that cloud-init reads for one machine.

    `ssh_keys` are texts of authorized_keys files; their keys log in as the image's default user.
    `user_data` and `network_config` are passed on byte for byte; without `network_config` the image
    uses DHCP. cloud-init takes a new `instance_id` for a new machine, for which it generates host
    keys and the rest again; with a known one the machine only boots once more.
    """

    hostname: str
    ssh_keys: tuple[str, ...] = ()
    user_data: bytes = b"#cloud-config\n{}\n"
    network_config: bytes | None = None
    instance_id: str = field(default_factory=_new_instance)

    def check(self) -> None:
        """Raise MachineError for data that cloud-init would ignore silently."""
        self._public_keys()
        if objection := _objection(self.user_data):
            raise InvalidDescription(f"The user data {objection}.")

    def files(self) -> dict[str, bytes]:
        """Return the files of the seed by name. Raises MachineError."""
        meta_data = {  # written as JSON, which is YAML as well
            "instance-id": self.instance_id,
            "local-hostname": hostname_of(self.hostname),
            "public-keys": self._public_keys(),
        }
        files = {"user-data": self.user_data, _META_DATA: json.dumps(meta_data).encode()}
        if self.network_config is not None:
            files["network-config"] = self.network_config
        return files

    def _public_keys(self) -> list[str]:
        texts = enumerate(self.ssh_keys, start=1)
        keys_of_texts = (ssh_keys.public_keys(text, f"ssh key {number}") for number, text in texts)
        return list(dict.fromkeys(key for keys in keys_of_texts for key in keys))


def write_seed(seed: Seed, path: Path) -> None:
    """Write the image of a seed. Raises MachineError."""
    seed.check()
    _write(seed.files(), path)


def copy_seed(source: Path, path: Path, hostname: str) -> None:
    """Write a copy of a seed for another machine, with a new host name and instance ID.

    Raises MachineError.
    """
    files = iso9660.read(source).files
    if _META_DATA not in files:
        raise InvalidImage(
            f"The seed {source} has no file {_META_DATA}: detach the seed, or create a new one."
        )
    _write({**files, _META_DATA: _renamed(files[_META_DATA], hostname)}, path)


def is_seed(path: Path) -> bool:
    """Return True for an image that cloud-init reads as a seed."""
    try:
        return iso9660.read(path).label.lower() == _LABEL
    except MachineError:
        return False


def _renamed(meta_data: bytes, hostname: str) -> bytes:
    """Return meta-data with a new instance ID and host name."""
    identity = {"instance-id": _new_instance(), "local-hostname": hostname_of(hostname)}
    text = meta_data.decode(errors="surrogateescape")
    try:
        document = json.loads(text)
    except ValueError:  # YAML, whose top-level keys start at the margin
        if text.lstrip().startswith("{"):
            raise InvalidImage(
                f"The {_META_DATA} of the seed is neither JSON nor YAML with a key on each line:"
                " detach the seed, or create a new one."
            ) from None
        lines = "".join(f"{key}: {value}\n" for key, value in identity.items())
        start = _DOCUMENT_START.search(text)
        at = start.end() if start else 0
        others = _IDENTITY.sub("", text[at:])
        return f"{text[:at]}{lines}{others}".encode(errors="surrogateescape")
    unchanged = {key: document[key] for key in document if key not in {"hostname", "instance_id"}}
    return json.dumps({**unchanged, **identity}).encode()


def _write(files: dict[str, bytes], path: Path) -> None:
    try:
        with path.open("xb") as file:
            iso9660.write(file, _LABEL, files)
    except OSError as error:
        raise os_error(f"Can't write {path}", error) from error


def _objection(user_data: bytes) -> str:
    """Return why cloud-init would ignore the user data; empty if it would not.

    (cloud-init, cloudinit/user_data.py: type_from_starts_with, convert_string)
    """
    if user_data.startswith(_GZIP):
        try:
            user_data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(
                user_data, _MIME_WITHIN_BYTES
            )
        except zlib.error:
            return "starts like a gzip file but is damaged: compress it again"
    if user_data.startswith(_BYTE_ORDER_MARKS):
        return (
            "starts with a byte order mark, because of which cloud-init ignores it: save it as"
            " plain UTF-8"
        )
    start = user_data[:_MIME_WITHIN_BYTES].lower()
    if not start.strip() or start.lstrip().startswith(_MARKERS) or _MIME in start:
        return ""
    return (
        "must start with #cloud-config, #! or another marker of cloud-init, which ignores the rest"
    )

"""Public ssh keys in files of OpenSSH's format: one key a line, with comments and options.

(sshd(8), "AUTHORIZED_KEYS FILE FORMAT")
"""

from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING

from vms.errors import InvalidDescription

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = (
    r"ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)"
)
_TYPE = rf"(?:{_TYPES})(?:-cert-v01)?(?:@openssh\.com)?"
# Options contain blanks only between quotes, where a backslash escapes a quote.
_OPTIONS = r'(?:[^\s"]|"(?:\\"|[^"])*")+'
_LINE = re.compile(rf"(?:{_OPTIONS}[ \t]+)?({_TYPE})[ \t]+([A-Za-z0-9+/]+={{0,2}})(?:[ \t].*)?")
_BITS_PER_BASE64_LETTER = 6


def public_keys(text: str, where: str) -> tuple[str, ...]:
    """Return the lines of a file that are keys; skip blank lines and comments.

    `where` names the file in errors. Raises MachineError if another line is not a key, or if there
    is no key. The error never repeats a line, since it may be secret.
    """
    keys = tuple(_keys(text, where))
    if not keys:
        raise InvalidDescription(
            f"{where} contains no public ssh key: name a file such as id_ed25519.pub."
        )
    return keys


def _keys(text: str, where: str) -> Iterator[str]:
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("\ufeff")
        if not line or line.startswith("#"):
            continue
        if "PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File"):
            raise InvalidDescription(
                f"{where}, line {number}: this is a private key, which must stay secret: name the"
                " file of its public key, which ends in .pub."
            )
        if "BEGIN SSH2 PUBLIC KEY" in line:
            raise InvalidDescription(
                f"{where}, line {number}: the key is not in OpenSSH's format: convert it with"
                " ssh-keygen -i -f FILE."
            )
        match = _LINE.fullmatch(line)
        if not match or not _starts_with_its_type(match[2], match[1]):
            raise InvalidDescription(
                f"{where}, line {number}: this is not a public ssh key in OpenSSH's format."
            )
        yield line


def _starts_with_its_type(blob: str, type_: str) -> bool:
    """Return True if the encoded key starts with the same type. (RFC 4253, section 6.6)"""
    start = struct.pack(">I", len(type_)) + type_.encode()
    whole_letters = len(start) * 8 // _BITS_PER_BASE64_LETTER
    return blob.startswith(base64.b64encode(start).decode()[:whole_letters])

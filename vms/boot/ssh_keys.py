"""Public keys of ssh, as they stand in files: lists of lines, with comments and options.

(sshd(8), "AUTHORIZED_KEYS FILE FORMAT")
"""

from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = (
    r"ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)"
)
_KIND = rf"(?:{_KINDS})(?:-cert-v01)?(?:@openssh\.com)?"
# Options have no blanks but between quotes, in which a backslash stands before a quote.
_OPTIONS = r'(?:[^\s"]|"(?:\\"|[^"])*")+'
_LINE = re.compile(rf"(?:{_OPTIONS}[ \t]+)?({_KIND})[ \t]+([A-Za-z0-9+/]+={{0,2}})(?:[ \t].*)?")
_BITS_OF_A_LETTER = 6


def public_keys(text: str, where: str) -> tuple[str, ...]:
    """The keys of a file, a line each; blank lines and comments are left out.

    `where` names the file in errors. Raises MachineError for a file that holds anything else, or no
    key at all; what a line holds is not repeated, since it may be secret.
    """
    found = tuple(_keys(text, where))
    if not found:
        raise MachineError(f"{where} holds no public ssh key: name a file such as id_ed25519.pub.")
    return found


def _keys(text: str, where: str) -> Iterator[str]:
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("\ufeff")
        if not line or line.startswith("#"):
            continue
        if "PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File"):
            raise MachineError(
                f"{where}, line {number}: that is a private key, which stays with its owner: name"
                " the file of its public half, which ends in .pub."
            )
        if "BEGIN SSH2 PUBLIC KEY" in line:
            raise MachineError(
                f"{where}, line {number}: the key is in another form than OpenSSH's: ssh-keygen -i"
                " -f FILE converts it."
            )
        key = _LINE.fullmatch(line)
        if not key or not _begins_with_its_kind(key[2], key[1]):
            raise MachineError(f"{where}, line {number}: that is no public ssh key.")
        yield line


def _begins_with_its_kind(blob: str, kind: str) -> bool:
    """Return True if the key itself says that it is of that kind. (RFC 4253, section 6.6)"""
    begins = struct.pack(">I", len(kind)) + kind.encode()
    whole_letters = len(begins) * 8 // _BITS_OF_A_LETTER
    return blob.startswith(base64.b64encode(begins).decode()[:whole_letters])

"""Sources of ADD that are URLs, and checksums of them."""

from __future__ import annotations

import re

from runtime.errors import InvalidConfig

_CHECKSUM = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")


def is_url(text: str) -> bool:
    """Return True for a URL of http or https."""
    return text.startswith(("http://", "https://"))


def check_checksum(text: str) -> None:
    """Raise InvalidConfig if a text is no digest."""
    if not _CHECKSUM.fullmatch(text):
        raise InvalidConfig(f"--checksum={text} is no digest: sha256: and 64 hex digits.")

"""Seccomp sections from documents as config.json has them."""

from __future__ import annotations

from typing import Any

from runtime.document import convert
from runtime.spec import Seccomp


def section(document: dict[str, Any]) -> Seccomp:
    return convert(Seccomp, document, "config.json")

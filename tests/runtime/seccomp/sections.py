"""Seccomp sections from documents as config.json has them."""

from __future__ import annotations

from typing import Any

from runtime.spec.config import Seccomp
from runtime.spec.json_structs import convert


def section(document: dict[str, Any]) -> Seccomp:
    return convert(Seccomp, document, "config.json")

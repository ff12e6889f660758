"""Seccomp sections made from the documents of a config.json."""

from __future__ import annotations

from typing import Any

from runtime.spec.config import Seccomp
from runtime.spec.json_structs import convert


def section(document: dict[str, Any]) -> Seccomp:
    return convert(Seccomp, document, "config.json")

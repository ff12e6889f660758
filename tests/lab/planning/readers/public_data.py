"""Public data to test against, which is no part of the project: beside it, or where it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder(name: str) -> Path:
    """Return a folder of public data; skip the test where there is none."""
    told = os.environ.get("TONNAGE_DATA")
    beside = (parent / "shared/data" for parent in Path(__file__).parents)
    for data in [Path(told)] if told else beside:
        if (data / name).is_dir():
            return data / name
    pytest.skip(f"there is no public data {name}: set TONNAGE_DATA to its folder")

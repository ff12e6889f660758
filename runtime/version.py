"""The version of what is installed, and of the specification that it keeps to."""

from __future__ import annotations

SPECIFICATION = "1.3.0"


def version() -> str:
    """As the package's metadata has it; slow to find, so only for who asks."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("tonnage")
    except PackageNotFoundError:
        return "unknown"

"""The version of what is installed."""

from __future__ import annotations


def version() -> str:
    """As the package's metadata has it; slow to find, so only for who asks."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("tonnage")
    except PackageNotFoundError:
        return "unknown"

"""The version of this package, and of the OCI runtime specification that it implements."""

from __future__ import annotations

SPECIFICATION = "1.3.0"


def version() -> str:
    """Return the version of the installed package, or `unknown`.

    The look-up is slow; start paths avoid it.
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("tonnage")
    except PackageNotFoundError:
        return "unknown"

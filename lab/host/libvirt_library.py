"""The libvirt library: a Python package of its own, and the shared library that Debian has."""

from __future__ import annotations

from importlib.util import find_spec

import vms  # noqa: F401  # it says what libvirt logs, before libvirt is loaded


def absent() -> str:
    """Return why libvirt can't be used; empty if it can."""
    if not find_spec("libvirt"):
        return "libvirt-python is not installed: make setup"
    try:
        import libvirt  # noqa: F401
    except ImportError as error:
        return f"libvirt can't be loaded ({error}): apt-get install libvirt0"
    return ""

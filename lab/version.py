"""The version of this lab, and its commit if it runs from a git checkout."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parent.parent
_GIT_SECONDS = 10


@cache
def commit() -> str | None:
    """Return the checkout's commit, followed by `+` if files were changed.

    None if the lab was installed without its history, or if git is missing or fails.
    """
    if not (_PROJECT / ".git").exists():
        return None
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "lab", "runtime", "vms")
    return f"{head}+" if changed else head


def document() -> dict[str, Any]:
    """Return version and commit as they are stored in run.json."""
    return {"version": metadata.version("tonnage"), "commit": commit()}


def line() -> str:
    """Return version and commit as text."""
    return shown(document())


def shown(document: dict[str, Any] | None) -> str:
    """Return a stored version as text; empty if a run did not record it."""
    if not document:
        return ""
    full = document.get("commit")
    short = f" ({full[:10]}{'+' if full.endswith('+') else ''})" if full else ""
    return f"tonnage {document.get('version', '')}{short}"


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(_PROJECT), *arguments],
            capture_output=True, encoding="utf-8", errors="replace", timeout=_GIT_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None

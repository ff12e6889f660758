"""The version of the lab that is running, and the commit where it runs from a checkout."""

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
    """Return the checkout's commit, with `+` behind it where files differ from it.

    None where the lab was installed without its history, or git is not there or refuses.
    """
    if not (_PROJECT / ".git").exists():
        return None
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "lab", "runtime", "vms")
    return f"{head}+" if changed else head


def document() -> dict[str, Any]:
    """Return version and commit as run.json has them."""
    return {"version": metadata.version("tonnage"), "commit": commit()}


def line() -> str:
    """Return version and commit for a person."""
    return shown(document())


def shown(found: dict[str, Any] | None) -> str:
    """Return the version that `document` gave as text; empty for a run that did not record it."""
    if not found:
        return ""
    of = found.get("commit")
    short = f" ({of[:10]}{'+' if of.endswith('+') else ''})" if of else ""
    return f"tonnage {found.get('version', '')}{short}"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_PROJECT), *arguments],
            capture_output=True, encoding="utf-8", errors="replace", timeout=_GIT_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""Conditions that must agree between two runs before their figures can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.results.run_folder import Run

# Each condition, and the keys of host.json and run.json that record it.
_CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "host": (("host", "hostname"), ("host", "cpu_model"), ("host", "cpus"), ("host", "kernel")),
    "accelerator": (("settings", "accelerator"),),
    "workloads": (("settings", "workloads"), ("settings", "userland")),
    "page-cache": (("settings", "page_cache"),),
    "image": (("settings", "image_digest"),),
}
CONDITIONS = tuple(_CONDITIONS)


def differing(first: Run, later: Run) -> list[tuple[str, str]]:
    """Return each condition that differs, with a sentence about it that has no full stop."""
    differences = []
    for name, keys in _CONDITIONS.items():
        for document, key in keys:
            ours, theirs = getattr(first, document).get(key), getattr(later, document).get(key)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                common = ours.keys() & theirs.keys()
                ours, theirs = ({name: each[name] for name in common} for each in (ours, theirs))
            if ours != theirs and ours is not None and theirs is not None:
                both = f"{first.path.name} and {later.path.name}"
                detail = f"{key.replace('_', ' ')} ({_short(ours)}; {_short(theirs)})"
                differences.append((name, f"{both} differ in {detail}"))
                break
    return differences


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"

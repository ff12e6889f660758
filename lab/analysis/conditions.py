"""Conditions that must agree between two runs before their figures can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.language.message import Message, recalled

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


def differing(first: Run, later: Run) -> list[tuple[str, Message]]:
    """Return each condition that differs, with a sentence about it that has no full stop."""
    differences = []
    for name, keys in _CONDITIONS.items():
        for document, key in keys:
            ours, theirs = getattr(first, document).get(key), getattr(later, document).get(key)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                common = sorted(ours.keys() & theirs.keys())
                changed = [name for name in common if ours[name] != theirs[name]]
                ours, theirs = ({name: each[name] for name in changed} for each in (ours, theirs))
            if ours != theirs and ours is not None and theirs is not None:
                sentence = Message(
                    "{first} and {later} differ in {condition} ({ours}; {theirs})",
                    first=first.path.name,
                    later=later.path.name,
                    condition=recalled(key.replace("_", " ")),
                    ours=_short(ours),
                    theirs=_short(theirs),
                )
                differences.append((name, sentence))
                break
    return differences


def _short(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {each}" for key, each in value.items())
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"

"""What has to be the same in two runs, so that their figures can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.results.run_folder import Run

# Where it is recorded: what it is called, and where it lies.
_CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "host": (("host", "hostname"), ("host", "cpu_model"), ("host", "cpus"), ("host", "kernel")),
    "accelerator": (("settings", "accelerator"),),
    "workloads": (("settings", "workloads"), ("settings", "userland")),
    "page-cache": (("settings", "page_cache"),),
}
CONDITIONS = tuple(_CONDITIONS)


def differing(first: Run, run: Run) -> list[tuple[str, str]]:
    """What keeps two runs from being compared: which condition, and a sentence without its end."""
    found = []
    for name, places in _CONDITIONS.items():
        for part, key in places:
            ours, theirs = getattr(first, part).get(key), getattr(run, part).get(key)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                common = ours.keys() & theirs.keys()
                ours, theirs = ({name: each[name] for name in common} for each in (ours, theirs))
            if ours != theirs and ours is not None and theirs is not None:
                both = f"{first.path.name} and {run.path.name}"
                what = f"{key.replace('_', ' ')} ({_short(ours)}; {_short(theirs)})"
                found.append((name, f"{both} differ in {what}"))
                break
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"

"""Plugins: targets, experiments and workloads of other installed packages, by entry points.

A package adds a target, for example, with these lines in its pyproject.toml:

    [project.entry-points."tonnage.targets"]
    nspawn = "tonnage_nspawn.target:Nspawn"
"""

from __future__ import annotations

from importlib.metadata import entry_points

from lab.errors import AlreadyExists


def addresses(group: str) -> dict[str, str]:
    """Return the entry points of a group, by name, without importing anything.

    Raise AlreadyExists if two packages use the same name.
    """
    values: dict[str, str] = {}
    for point in entry_points(group=group):
        if values.setdefault(point.name, point.value) != point.value:
            raise AlreadyExists(
                f"Two installed packages register {point.name!r} as an entry point of {group}:"
                " uninstall one of them."
            )
    return values

"""What installed packages add to the lab, by entry points.

A package adds a target, an experiment or workloads with, in its pyproject.toml,

    [project.entry-points."tonnage.targets"]
    lxc = "tonnage_lxc.target:Lxc"
"""

from __future__ import annotations

from importlib.metadata import entry_points

from lab.errors import LabError


def found(group: str) -> dict[str, str]:
    """The addresses that installed packages give in the group, by name; nothing is imported.

    Raises LabError if two packages give the same name.
    """
    addresses: dict[str, str] = {}
    for point in entry_points(group=group):
        if addresses.setdefault(point.name, point.value) != point.value:
            raise LabError(f"Two installed packages have a {group} named {point.name!r}.")
    return addresses

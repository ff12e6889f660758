"""The workloads of a run: the lab's own, those of installed packages, and the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab import plugins
from lab.errors import AlreadyExists
from lab.workloads import definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.workloads.definition import Workload

DIRECTORY = Path(__file__).parent
GROUP = "tonnage.workloads"


def load(profile: Literal["quick", "full"], files: Iterable[Path] = ()) -> dict[str, Workload]:
    """Return the workloads of the profile, and all workloads of the user's files, by name.

    An entry point of the group `tonnage.workloads` names a TOML file, as `package:file.toml`. Raise
    InvalidConfig for an unusable file, and AlreadyExists if a name or a metric is used twice.
    """
    own = sorted(DIRECTORY.glob("*.toml"))
    theirs = [_file(address) for address in plugins.addresses(GROUP).values()]
    loaded: dict[str, Workload] = {}
    for path in (*own, *theirs):
        chosen = {
            name: workload
            for name, workload in definition.read(path).items()
            if profile == "full" or workload.profile == "quick"
        }
        _add(loaded, chosen, path)
    for path in files:
        _add(loaded, definition.read(path), path)
    return loaded


def packages(workloads: Mapping[str, Workload]) -> tuple[str, ...]:
    """Return the packages that the workloads need, without duplicates."""
    return tuple(sorted({name for workload in workloads.values() for name in workload.packages}))


def _file(address: str) -> Path:
    package, _, name = address.partition(":")
    return Path(str(resources.files(package) / name))


def _add(loaded: dict[str, Workload], more: Mapping[str, Workload], path: Path) -> None:
    metrics = {metric for workload in loaded.values() for metric in workload.results}
    for name, workload in more.items():
        if name in loaded:
            raise AlreadyExists(f"{path}: a workload {name} exists already: choose another name.")
        if duplicates := metrics & set(workload.results):
            raise AlreadyExists(
                f"{path}: {name}: a metric {min(duplicates)} exists already: choose another name."
            )
        metrics |= set(workload.results)
        loaded[name] = workload

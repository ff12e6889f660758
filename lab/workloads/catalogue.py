"""Which workloads there are: the lab's own, those of installed packages, those of the user."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab import plugins
from lab.errors import LabError
from lab.workloads import definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.workloads.definition import Workload

DIRECTORY = Path(__file__).parent
GROUP = "tonnage.workloads"


def load(profile: Literal["quick", "full"], files: Iterable[Path] = ()) -> dict[str, Workload]:
    """The workloads of the profile by name; what the user's own files hold is always among them.

    An entry point of the group `tonnage.workloads` names a TOML file, as `package:file.toml`.
    Raises LabError for a file that can't be read, and for a name or a metric that is there twice.
    """
    own = sorted(DIRECTORY.glob("*.toml"))
    theirs = [_file(address) for address in plugins.addresses(GROUP).values()]
    found: dict[str, Workload] = {}
    for path in (*own, *theirs):
        chosen = {
            name: workload
            for name, workload in definition.read(path).items()
            if profile == "full" or workload.profile == "quick"
        }
        _add(found, chosen, path)
    for path in files:
        _add(found, definition.read(path), path)
    return found


def packages(workloads: Mapping[str, Workload]) -> tuple[str, ...]:
    """What the user land needs for them, each once."""
    return tuple(sorted({name for workload in workloads.values() for name in workload.packages}))


def _file(address: str) -> Path:
    package, _, name = address.partition(":")
    return Path(str(resources.files(package) / name))


def _add(found: dict[str, Workload], more: Mapping[str, Workload], path: Path) -> None:
    metrics = {metric for workload in found.values() for metric in workload.results}
    for name, workload in more.items():
        if name in found:
            raise LabError(f"{path}: there is a workload {name} already: choose another name.")
        if twice := metrics & set(workload.results):
            raise LabError(f"{path}: {name}: there is a metric {min(twice)} already.")
        metrics |= set(workload.results)
        found[name] = workload

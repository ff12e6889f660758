"""The notebooks of the project, and their execution in a test."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from lab.classroom.class_run import COMMITTED, RUN_VARIABLE
from lab.report import execution

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parents[2] / "notebooks"
# These start containers and machines, and are executed by tests/system.
NEED_ROOT = ("inside-a-container", "inside-a-machine", "images")
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
READ_ONLY = [name for name in NAMES if name not in NEED_ROOT]
# A notebook takes a few seconds of a host at rest; one that eight others share, minutes.
DEADLINE_SECONDS = 900.0
ENGLISH, CHINESE = "lang-en", "lang-zh"


def read(name: str) -> Any:
    """Return the notebook as it is stored."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def executed(
    name: str,
    environment: Mapping[str, str] | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Any:
    """Return the notebook, executed from a clean kernel. Raise ReportFailed."""
    notebook = copy.deepcopy(read(name))
    about = {RUN_VARIABLE: str(FOLDER.parent / COMMITTED)}
    execution.execute(notebook, {**about, **(environment or {})}, deadline_seconds)
    return notebook


def outputs(notebook: Any) -> Iterator[Any]:
    """Yield every output of the notebook."""
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def shown(notebook: Any) -> str:
    """Return everything that the notebook prints or shows, without pictures."""
    parts = []
    for output in outputs(notebook):
        parts.append(output.get("text", ""))
        parts += [
            value for kind, value in output.get("data", {}).items() if kind.startswith("text/")
        ]
    return "\n".join(parts)


def warnings(notebook: Any) -> list[str]:
    """Return what the notebook wrote to standard error."""
    return [output["text"] for output in outputs(notebook) if output.get("name") == "stderr"]

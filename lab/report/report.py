"""The report of a run: table, overview picture, executed notebook, and HTML page.

The notebook shows the figures of the page with the code that makes them. It is executed while this
process makes the page. All files are written to a temporary folder and then renamed into place, so
a failed report changes nothing. Measurements are only read.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.analysis import across_runs, provenance
from lab.claims import table
from lab.errors import InvalidRun, ReportFailed
from lab.language.message import Language
from lab.report import notebook
from lab.results import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICTURE_DPI = 144
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})  # a run with sudo belongs to root
_OBJECTS_BETWEEN_COLLECTIONS = 20_000  # Python's own value is 700


def write(
    path: Path, out: Path | None = None, languages: tuple[Language, ...] = tuple(Language)
) -> list[Path]:
    """Write table.md, overview.png, report.ipynb and report.html into the run folder, or `out`.

    The page has a switch if it is in more than one language. Files of an earlier report are
    replaced. Raise InvalidRun if the folder holds no run or no measurement, and ReportFailed if
    the notebook or a figure fails.
    """
    run = run_folder.load(path)
    _require_measurements(run)
    out = out or path
    with _temporary(out) as temporary, _rare_collections():
        (temporary / "table.md").write_text(_table(run), encoding="utf-8")
        with notebook.aside(path, provenance.measured(run), languages) as executed:
            (temporary / "report.html").write_text(_page(run, languages), encoding="utf-8")
            _draw(run, temporary / "overview.png")
        _write_notebook(executed.result(), temporary / "report.ipynb")
    return [out / name for name in ("table.md", "overview.png", "report.ipynb", "report.html")]


def _table(run: run_folder.Run) -> str:
    """Return the claims of the run, and its figures across the runs of its folder."""
    return f"{table.markdown(run)}\n## Across runs\n\n{across_runs.section(run)}\n"


def _require_measurements(run: run_folder.Run) -> None:
    if run.samples["value"].notna().any():
        return
    if run.samples.empty:
        raise InvalidRun(
            f"{run.path} holds no measurements: no round was finished. Run the measurement again."
        )
    reason = run.samples["censored"].iloc[0]
    raise InvalidRun(
        f"{run.path} holds no measurements: all {len(run.samples)} failed, the first because:"
        f" {reason}"
    )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Search for garbage in cycles less often during the block.

    Figures and tables are hundreds of thousands of objects that stay: looking through them again
    and again takes a tenth of a report's time. Searching less often takes 25 MB more memory.
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `path`; its files move to `path` if the block succeeds."""
    temporary = path / f".report.{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in sorted(temporary.iterdir()):
            file.rename(path / file.name)
    except OSError as error:
        advice = " Choose another folder with --out." if error.errno in _NOT_OURS else ""
        raise ReportFailed(
            f"Can't write the report to {path}: {error.strerror}.{advice}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _page(run: run_folder.Run, languages: tuple[Language, ...]) -> str:
    from lab.report import page

    with _failures_of(run, "page"):
        return page.page(run, languages)


def _draw(run: run_folder.Run, path: Path) -> None:
    from lab.report import overview

    with _failures_of(run, "picture"):
        overview.overview(run).savefig(path, dpi=PICTURE_DPI)


@contextmanager
def _failures_of(run: run_folder.Run, what: str) -> Iterator[None]:
    """Raise ReportFailed in place of an error of the code that draws what a run holds."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if os.environ.get("TONNAGE_DEBUG"):
            raise
        raise ReportFailed(
            f"Can't make the {what} of {run.path}: {type(error).__name__}: {error}. --debug shows"
            " the traceback."
        ) from error


def _write_notebook(notebook: Any, path: Path) -> None:
    import nbformat

    nbformat.write(notebook, path)

"""A run folder as something to read: table, picture, executed notebook, page.

The notebook is the page's source. It runs in a kernel of this very interpreter, which is registered
nowhere and talks on UNIX sockets. All files are built aside and renamed into place together: what
was measured is only read, and a report that fails changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import string
import sys
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.analysis import across_runs, provenance
from lab.claims import table
from lab.errors import LabError
from lab.experiments.registry import EXPERIMENTS
from lab.host import plain_paths
from lab.results import run_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

NOTEBOOK = Path(__file__).parent / "containers-vs-vms.ipynb"
PAGE = Path(__file__).parent / "page.html"
DEADLINE_SECONDS = 300.0
PICTURE_DPI = 144
_UNDESCRIBED = re.compile(r'alt="No description has been provided for this image"')


def write(path: Path, out: Path | None = None) -> list[Path]:
    """Write table.md, overview.png, report.ipynb and report.html into the run folder, or `out`.

    What an earlier report left there is replaced. Raises LabError for a folder that is no run or
    holds no measurement, and if the notebook fails or takes longer than DEADLINE_SECONDS.
    """
    run = run_folder.load(path)
    _require_measurements(run)
    out = out or path
    with _aside(out) as aside:
        (aside / "table.md").write_text(_table(run), encoding="utf-8")
        _draw(run, aside / "overview.png")
        notebook = _execute(path, provenance.measured(run))
        _write_notebook(notebook, aside / "report.ipynb")
        _write_page(notebook, f"tonnage: {path.name}", aside / "report.html")
    return [out / name for name in ("table.md", "overview.png", "report.ipynb", "report.html")]


def _table(run: run_folder.Run) -> str:
    """The claims of the run, and its figures over all runs of the host beside it."""
    return f"{table.markdown(run)}\n## Across runs\n\n{across_runs.section(run)}\n"


def _require_measurements(run: run_folder.Run) -> None:
    if run.samples["value"].notna().any():
        return
    if run.samples.empty:
        raise LabError(f"{run.path} holds no measurements: no round was finished; measure again.")
    reason = run.samples["censored"].iloc[0]
    raise LabError(
        f"{run.path} holds no measurements: all {len(run.samples)} failed, the first because:"
        f" {reason}"
    )


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A directory inside the run folder, whose files move up when the block ends well."""
    aside = path / f".report.{os.getpid()}"
    try:
        aside.mkdir(parents=True)
        yield aside
        for file in sorted(aside.iterdir()):
            file.rename(path / file.name)
    except OSError as error:
        raise LabError(f"Can't write the report into {path}: {error.strerror}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _draw(run: run_folder.Run, path: Path) -> None:
    from lab.report import overview

    try:
        overview.overview(run).savefig(path, dpi=PICTURE_DPI)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if os.environ.get("TONNAGE_DEBUG"):
            raise
        raise LabError(
            f"The picture of {run.path} can't be drawn: {type(error).__name__}: {error}."
        ) from error


def _execute(path: Path, measured: Collection[str]) -> Any:
    """Return the notebook with the outputs that it has for this run.

    A cell whose tag names an experiment that was not measured is left out. Raise LabError.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
    except OSError as error:
        raise LabError(f"The notebook {NOTEBOOK} can't be read: {error.strerror}.") from error
    unmeasured = set(EXPERIMENTS) - set(measured)
    notebook.cells = [
        cell for cell in notebook.cells if unmeasured.isdisjoint(cell.metadata.get("tags", ()))
    ]
    try:
        with plain_paths.temporary_directory("tonnage-") as scratch:
            asyncio.run(_run_cells(notebook, path, Path(scratch)))
    except TimeoutError as error:
        raise LabError(f"The notebook was not done within {DEADLINE_SECONDS:.0f} s.") from error
    except CellExecutionError as error:
        raise LabError(f"The notebook failed: {error.ename}: {error.evalue}") from error
    except (DeadKernelError, RuntimeError) as error:
        raise LabError(f"The notebook's kernel did not live: {error}") from error
    return notebook


async def _run_cells(notebook: Any, path: Path, scratch: Path) -> None:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    kernels = scratch / "kernels"
    (kernels / "tonnage").mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "tonnage" / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
    )
    manager = AsyncKernelManager(
        kernel_name="tonnage",
        kernel_spec_manager=KernelSpecManager(
            kernel_dirs=[str(kernels)], ensure_native_kernel=False
        ),
        transport="ipc",
        connection_file=str(scratch / "kernel"),
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=None,  # of one cell; the deadline is for all of them
        record_timing=False,
        resources={"metadata": {"path": str(scratch)}},
    )
    source = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "TONNAGE_RUN": str(path.resolve()),
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
    }
    with (scratch / "kernel.log").open("w+b") as log:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS) as deadline:
                await client.async_execute(cleanup_kc=True, env=environment, stdout=log, stderr=log)
        except (DeadKernelError, RuntimeError) as error:
            if deadline.expired():  # it was we who ended the kernel
                raise TimeoutError from error
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()
            raise DeadKernelError(said[-1] if said else str(error)) from error


def _write_notebook(notebook: Any, path: Path) -> None:
    import nbformat

    nbformat.write(notebook, path)


def _write_page(notebook: Any, title: str, path: Path) -> None:
    """The notebook's prose and outputs as one file that loads nothing from anywhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = _described(body, notebook)
    page = string.Template(PAGE.read_text(encoding="utf-8"))
    path.write_text(page.substitute(title=escape(title), body=body), encoding="utf-8")


def _described(body: str, notebook: Any) -> str:
    """Give each picture the description that its output has; nbconvert knows none of SVG."""
    described = iter(
        [
            output.metadata.get("image/svg+xml", {}).get("alt", "")
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if "image/svg+xml" in output.get("data", {})
        ]
    )
    return _UNDESCRIBED.sub(lambda _: f'alt="{escape(next(described, ""))}"', body)

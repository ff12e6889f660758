"""The report of a run: table, overview picture, executed notebook, and HTML page.

The page is made from the notebook. The notebook runs in a kernel of this Python interpreter, which
is registered nowhere and communicates over UNIX sockets. All files are written to a temporary
folder and then renamed into place, so a failed report changes nothing. Measurements are only read.
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
from lab.errors import InvalidRun, ReportFailed
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

    Files of an earlier report are replaced. Raise InvalidRun if the folder holds no run or no
    measurement, and ReportFailed if the notebook fails or takes longer than DEADLINE_SECONDS.
    """
    run = run_folder.load(path)
    _require_measurements(run)
    out = out or path
    with _temporary(out) as temporary:
        (temporary / "table.md").write_text(_table(run), encoding="utf-8")
        _draw(run, temporary / "overview.png")
        notebook = _execute(path, provenance.measured(run))
        _write_notebook(notebook, temporary / "report.ipynb")
        _write_page(notebook, f"tonnage: {path.name}", temporary / "report.html")
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
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `path`; its files move to `path` if the block succeeds."""
    temporary = path / f".report.{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in sorted(temporary.iterdir()):
            file.rename(path / file.name)
    except OSError as error:
        raise ReportFailed(f"Can't write the report to {path}: {error.strerror}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _draw(run: run_folder.Run, path: Path) -> None:
    from lab.report import overview

    try:
        overview.overview(run).savefig(path, dpi=PICTURE_DPI)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if os.environ.get("TONNAGE_DEBUG"):
            raise
        raise ReportFailed(
            f"Can't draw the picture of {run.path}: {type(error).__name__}: {error}. --debug shows"
            " the traceback."
        ) from error


def _execute(path: Path, measured: Collection[str]) -> Any:
    """Return the notebook, executed for the run.

    Cells whose tag names an unmeasured experiment are left out. Raise ReportFailed.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
    except OSError as error:
        raise ReportFailed(f"Can't read the notebook {NOTEBOOK}: {error.strerror}.") from error
    unmeasured = set(EXPERIMENTS) - set(measured)
    notebook.cells = [
        cell for cell in notebook.cells if unmeasured.isdisjoint(cell.metadata.get("tags", ()))
    ]
    try:
        with plain_paths.temporary_directory("tonnage-") as scratch:
            asyncio.run(_run_cells(notebook, path, Path(scratch)))
    except TimeoutError as error:
        raise ReportFailed(
            f"The notebook did not finish within {DEADLINE_SECONDS:.0f} s."
        ) from error
    except CellExecutionError as error:
        raise ReportFailed(f"The notebook failed: {error.ename}: {error.evalue}") from error
    except (DeadKernelError, RuntimeError) as error:
        raise ReportFailed(f"The notebook's kernel died: {error}") from error
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
        timeout=None,  # of a cell; the deadline covers all cells
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
            if deadline.expired():  # the kernel died because the deadline ended it
                raise TimeoutError from error
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            raise DeadKernelError(lines[-1] if lines else str(error)) from error


def _write_notebook(notebook: Any, path: Path) -> None:
    import nbformat

    nbformat.write(notebook, path)


def _write_page(notebook: Any, title: str, path: Path) -> None:
    """Write the notebook's text and outputs as a page that loads no other file."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = _describe_pictures(body, notebook)
    page = string.Template(PAGE.read_text(encoding="utf-8"))
    path.write_text(page.substitute(title=escape(title), body=body), encoding="utf-8")


def _describe_pictures(body: str, notebook: Any) -> str:
    """Add to each picture its output's description, which nbconvert omits for SVG."""
    descriptions = iter(
        [
            output.metadata.get("image/svg+xml", {}).get("alt", "")
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if "image/svg+xml" in output.get("data", {})
        ]
    )
    return _UNDESCRIBED.sub(lambda _: f'alt="{escape(next(descriptions, ""))}"', body)

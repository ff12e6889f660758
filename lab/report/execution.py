"""The execution of a notebook in a new kernel of this Python interpreter.

The kernel is registered nowhere, whatever kernel the notebook names, and communicates over UNIX
sockets. It works in a temporary folder, so that a notebook can't depend on the folder in which it
lies, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ReportFailed
from lab.host import plain_paths
from lab.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

DEADLINE_SECONDS = 300.0


def execute(
    notebook: Any,
    environment: Mapping[str, str],
    deadline_seconds: float = DEADLINE_SECONDS,
    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run,
) -> None:
    """Run the notebook's cells, and put their outputs and numbers into it.

    `environment` is added to that of this process. `run` runs a coroutine. Raise ReportFailed if a
    cell fails, if the kernel dies, or if all cells together take longer than the deadline.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        with plain_paths.temporary_directory("tonnage-") as scratch:
            run(_run_cells(notebook, environment, Path(scratch), deadline_seconds))
    except TimeoutError as error:
        raise ReportFailed(
            f"The notebook did not finish within {deadline_seconds:.0f} s."
        ) from error
    except CellExecutionError as error:
        raise ReportFailed(
            f"The notebook failed{_place_of_error(notebook)}: {error.ename}: {error.evalue}"
        ) from error
    except (DeadKernelError, RuntimeError) as error:
        raise ReportFailed(f"The notebook's kernel died: {error}") from error


def _place_of_error(notebook: Any) -> str:
    """Return words for the cell that failed: its place among all cells, and its first line."""
    for number, cell in enumerate(notebook.cells, 1):
        if any(output.output_type == "error" for output in cell.get("outputs", ())):
            first, *_ = cell.source.strip().splitlines()
            return f" in cell {number} ({first})"
    return ""


async def _run_cells(
    notebook: Any, environment: Mapping[str, str], scratch: Path, deadline_seconds: float
) -> None:
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
    with (scratch / "kernel.log").open("w+b") as log:
        try:
            async with asyncio.timeout(deadline_seconds) as deadline:
                await client.async_execute(
                    cleanup_kc=True,
                    env=_environment(environment, scratch),
                    stdout=log,
                    stderr=log,
                )
        except (DeadKernelError, RuntimeError) as error:
            if deadline.expired():  # the kernel died because the deadline ended it
                raise TimeoutError from error
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            raise DeadKernelError(lines[-1] if lines else str(error)) from error


def _environment(added: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the kernel's environment, in which this package is found and Python speaks UTF-8."""
    source = str(CHECKOUT)
    environment = {**os.environ, "PYTHONUTF8": "1", "IPYTHONDIR": str(scratch / "ipython")}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [source, os.environ.get("PYTHONPATH")])
    )
    if not _can_keep_fonts():
        environment["MPLCONFIGDIR"] = str(scratch / "matplotlib")
    return {**environment, **added}


def _can_keep_fonts() -> bool:
    """Return True if Matplotlib can write to its own folders; else it would warn in a cell."""
    if folder := os.environ.get("MPLCONFIGDIR"):
        return _can_write(Path(folder))
    home = Path(os.environ.get("HOME") or "/")
    bases = (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    return all(
        _can_write(Path(os.environ.get(variable) or home / name) / "matplotlib")
        for variable, name in bases
    )


def _can_write(folder: Path) -> bool:
    """Return True if the folder can be written to; it is made, as Matplotlib would make it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)

"""The execution of a notebook in a clean kernel, on hosts that lack this and that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from lab.report import execution


def notebook_of(*sources: str) -> Any:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def printed(notebook: Any) -> list[str]:
    return [output.text for cell in notebook.cells for output in cell.outputs]


def test_the_environment_reaches_the_cells_and_stale_outputs_go() -> None:
    notebook = notebook_of("import os, lab; print(os.environ['TONNAGE_RUN'])")
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="stale")]
    notebook.cells[0].execution_count = 7
    execution.execute(notebook, {"TONNAGE_RUN": "a run, März"})
    assert printed(notebook) == ["a run, März\n"]
    assert notebook.cells[0].execution_count == 1


def test_the_kernel_that_a_notebook_names_need_not_exist() -> None:
    notebook = notebook_of("print(1)")
    notebook.metadata["kernelspec"] = {"name": "of another host", "display_name": "?"}
    execution.execute(notebook, {})
    assert printed(notebook) == ["1\n"]


def test_a_home_that_can_not_be_written_to_warns_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("LC_ALL", "C")
    notebook = notebook_of(
        "import matplotlib.font_manager as fonts\nprint(bool(fonts.fontManager.ttflist), '容器')"
    )
    monkeypatch.chdir(tmp_path)
    execution.execute(notebook, {})
    assert printed(notebook) == ["True 容器\n"]
    assert list(tmp_path.iterdir()) == []


def test_text_files_are_read_as_utf_8_in_the_c_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    (tmp_path / "text").write_text("容器", encoding="utf-8")
    notebook = notebook_of(f"print(open({str(tmp_path / 'text')!r}).read())")
    execution.execute(notebook, {})
    assert printed(notebook) == ["容器\n"]

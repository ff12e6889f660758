"""The report: its files, or an error and nothing changed."""

from __future__ import annotations

import errno
import gc
import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lab.errors import LabError
from lab.language.message import Language
from lab.report import notebook as report_notebook
from lab.report import page, report
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.plausible import HOST, SETTINGS, write

WRITTEN = ["table.md", "overview.png", "report.ipynb", "report.html"]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tmp_path_factory.mktemp("report") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        assert report.write(Path("run")) == [Path("run") / name for name in WRITTEN]
    return path


def outputs(notebook: Any) -> str:
    return "".join(
        str(output.get("data", output))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def test_the_notebook_was_executed_for_this_run(reported: Path) -> None:
    notebook = nbformat.read(reported / "report.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    pictures = [o for c in code for o in c.outputs if "image/svg+xml" in o.get("data", {})]
    assert len(pictures) == 10
    text = outputs(notebook)
    assert "host plausible" in text
    assert "container: thousands on one host" in text
    assert "| clock | tsc |" in text
    assert "| startup | vm (emulated) / container | ready |" in text
    assert "docker: docker is not installed" in text


def test_the_page_stands_alone(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    assert page.count("<figure>") == 10
    assert page.count('class="picture"') == 2 * 10  # for a telephone as well
    assert "virtual machine: minutes" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert not re.search(r"<script[^>]*\bsrc=", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)


def test_a_page_shows_what_was_measured_and_no_empty_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "run", experiments=("startup",))
    report.write(path)
    page = (path / "report.html").read_text()
    assert page.count("<figure>") == 2
    assert "Where the time goes" in page
    assert "What does a noisy neighbour cost?" not in page
    unmeasured = "burst, footprint, performance, delivery, isolation, density"
    assert f"Not measured in this run: {unmeasured}." in page


def test_the_report_contains_no_local_path(reported: Path) -> None:
    for name in WRITTEN[:1] + WRITTEN[2:]:
        text = (reported / name).read_text()
        assert str(reported.parent) not in text
        assert str(report_notebook.NOTEBOOK.parent.parent) not in text


def test_the_table_and_the_picture_are_there(reported: Path) -> None:
    assert "| startup | container: seconds |" in (reported / "table.md").read_text()
    assert (reported / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_measurements_are_unchanged(reported: Path, tmp_path: Path) -> None:
    fresh = write(tmp_path / "run")
    raw = sorted(file.name for file in fresh.iterdir())
    assert sorted(file.name for file in reported.iterdir()) == sorted([*raw, *WRITTEN])
    for name in ("host.json", "run.json", "measurements.csv"):
        assert (reported / name).read_bytes() == (fresh / name).read_bytes()


def test_a_run_that_was_killed_still_reports(tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != "finished"}
    folder = RunFolder(tmp_path / "run", {"hostname": "bare"}, settings)
    folder.append([Sample("startup", "container", "first-instruction", "second", 0, 0.002)])
    # The folder is never closed, as if the run was killed.
    report.write(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "interrupted: finished rounds only" in page


def folder_with(path: Path, samples: list[Sample]) -> Path:
    with RunFolder(path, HOST, SETTINGS) as made:
        made.append(samples)
    return path


def test_a_run_without_measurements_is_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "run", [])
    before = sorted(path.iterdir())
    with pytest.raises(LabError, match="holds no measurements: no round was finished"):
        report.write(path)
    assert sorted(path.iterdir()) == before


def test_a_run_in_which_all_failed_is_refused_with_the_reason(tmp_path: Path) -> None:
    hung = Sample("startup", "vm", "ready", "second", 0, None, censored="it hung")
    with pytest.raises(LabError, match="all 1 failed, the first because: it hung"):
        report.write(folder_with(tmp_path / "run", [hung]))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is not a run folder"):
        report.write(tmp_path)


def notebook_of(path: Path, source: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("\n1 / 0", "The notebook failed in cell 1 (1 / 0): ZeroDivisionError: division by zero"),
        ("import os; os._exit(3)", "The notebook's kernel died"),
        ("import time; time.sleep(60)", "did not finish within 4 s"),
    ],
)
def test_a_notebook_that_fails_changes_nothing(
    source: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    before = sorted(path.iterdir())
    monkeypatch.setattr(report_notebook, "NOTEBOOK", notebook_of(tmp_path / "broken.ipynb", source))
    if "sleep" in source:
        monkeypatch.setattr(report_notebook, "DEADLINE_SECONDS", 4.0)
    with pytest.raises(LabError, match=re.escape(sentence)):
        report.write(path)
    assert sorted(path.iterdir()) == before


def test_a_page_that_fails_ends_the_notebook_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    before = sorted(path.iterdir())
    endless = notebook_of(tmp_path / "endless.ipynb", "import time; time.sleep(600)")
    monkeypatch.setattr(report_notebook, "NOTEBOOK", endless)

    thresholds: list[tuple[int, int, int]] = [gc.get_threshold()]

    def fail(*_: object) -> str:
        thresholds.append(gc.get_threshold())
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(page, "page", fail)
    with pytest.raises(LabError, match=r"Can't make the page of .*division by zero"):
        report.write(path)
    assert sorted(path.iterdir()) == before
    assert thresholds[1] > thresholds[0] == gc.get_threshold()  # garbage is searched for as before


def test_a_page_in_one_language_has_no_switch(tmp_path: Path) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    report.write(path, tmp_path / "chinese", (Language.CHINESE,))
    shown = (tmp_path / "chinese" / "report.html").read_text()
    assert '<html lang="zh"' in shown
    assert "占用多少磁盘？" in shown
    assert "What does it take on disk?" not in shown
    assert 'name="language"' not in shown


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    (
        path / f".report.{os.getpid()}"
    ).touch()  # blocks the folder, as a full or read-only disk would
    with pytest.raises(LabError, match="Can't write the report to"):
        report.write(path)


def test_a_folder_of_another_user_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))

    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)  # root may write everywhere
        with pytest.raises(LabError, match=r"Permission denied\. Choose another folder with --out"):
            report.write(path)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = json.loads(report_notebook.NOTEBOOK.read_text())
    nbformat.validate(nbformat.from_dict(notebook))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)

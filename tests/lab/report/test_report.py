"""The report: its files, or an error and nothing changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lab.errors import LabError
from lab.report import report
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
    assert page.count('src="data:image/svg+xml') == 10
    assert "virtual machine: minutes" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert not re.search(r"<script[^>]*\bsrc=", page)


def test_each_picture_of_the_page_is_described(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    described = re.findall(r'<img[^>]*alt="([^"]*)"', page)
    assert len(described) == 10
    assert all(len(text) > 40 and "No description" not in text for text in described)
    assert any("container ready 3." in text for text in described)
    assert any("half of 16 after" in text for text in described)


MEASURE = """<body><iframe id="page" src="page.html" width="390" height="3000"></iframe><script>
document.getElementById("page").addEventListener("load", (event) => {
  const inner = event.target.contentWindow;
  const wide = inner.document.documentElement.scrollWidth;
  document.body.setAttribute("data-widths", `${inner.innerWidth} ${wide}`);
})</script></body>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_the_page_fits_a_telephone(reported: Path, tmp_path: Path) -> None:
    page = (reported / "report.html").read_text()
    (tmp_path / "page.html").write_text(page)
    # A window is at least 500 pixels wide, so a frame sets the width.
    (tmp_path / "measure.html").write_text(MEASURE)
    shown = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--allow-file-access-from-files", "--virtual-time-budget=8000",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         (tmp_path / "measure.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    widths = re.search(r'data-widths="(\d+) (\d+)"', shown)
    assert widths
    assert int(widths[1]) == 390
    assert int(widths[2]) <= 390


def test_a_page_shows_what_was_measured_and_no_empty_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "run", experiments=("startup",))
    report.write(path)
    page = (path / "report.html").read_text()
    assert page.count('src="data:image/svg+xml') == 2
    assert "The steps of a start" in page
    assert "Noisy neighbours" not in page
    unmeasured = "burst, footprint, performance, delivery, isolation, density"
    assert f"Not measured in this run: {unmeasured}." in page


def test_the_report_contains_no_local_path(reported: Path) -> None:
    for name in WRITTEN[:1] + WRITTEN[2:]:
        text = (reported / name).read_text()
        assert str(reported.parent) not in text
        assert str(report.NOTEBOOK.parent.parent) not in text


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
        ("1 / 0", "The notebook failed: ZeroDivisionError: division by zero"),
        ("import os; os._exit(3)", "The notebook's kernel died"),
        ("import time; time.sleep(60)", "did not finish within 4 s"),
    ],
)
def test_a_notebook_that_fails_changes_nothing(
    source: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    before = sorted(path.iterdir())
    monkeypatch.setattr(report, "NOTEBOOK", notebook_of(tmp_path / "broken.ipynb", source))
    if "sleep" in source:
        monkeypatch.setattr(report, "DEADLINE_SECONDS", 4.0)
    with pytest.raises(LabError, match=re.escape(sentence)):
        report.write(path)
    assert sorted(path.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    (
        path / f".report.{os.getpid()}"
    ).touch()  # blocks the folder, as a full or read-only disk would
    with pytest.raises(LabError, match="Can't write the report to"):
        report.write(path)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = json.loads(report.NOTEBOOK.read_text())
    nbformat.validate(nbformat.from_dict(notebook))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)

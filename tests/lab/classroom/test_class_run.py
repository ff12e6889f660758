"""The run of a class: one rule for the verbs and for notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.classroom import class_run, lessons, notebook, students
from lab.errors import NotFound
from tests.lab.plausible import write


@pytest.fixture(autouse=True)
def _nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(class_run.RUN_VARIABLE, raising=False)
    monkeypatch.setattr(class_run, "CHECKOUT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)


def runs(folder: Path, *names: str) -> Path:
    """Make runs by their names alone; return their folder."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "run.json").write_text("{}")
    return folder


def test_the_newest_full_run_is_taken(tmp_path: Path) -> None:
    results = runs(tmp_path / "results", "2026-01-01-a-full", "2026-01-02-a-full", "2026-01-03-a")
    assert class_run.path() == results / "2026-01-02-a-full"
    assert class_run.path(results / "2026-01-03-a") == results / "2026-01-03-a"


def test_it_is_found_from_a_students_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = runs(tmp_path / "results", "2026-01-01-a")
    folder = tmp_path / "class" / "2026-017"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert class_run.path() == results / "2026-01-01-a"
    assert lessons.committed_run("2026-01-01-a") == results / "2026-01-01-a"


def test_the_run_of_an_unpacked_class_comes_before_others(tmp_path: Path) -> None:
    runs(tmp_path / "results", "2026-01-02-a-full")
    own = runs(tmp_path / "run", "2026-01-01-b")
    assert class_run.path() == own / "2026-01-01-b"


def test_the_project_is_the_last_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = runs(tmp_path / "elsewhere" / "results", "2026-01-01-a")
    monkeypatch.setattr(class_run, "CHECKOUT", tmp_path / "elsewhere")
    assert class_run.path() == kept / "2026-01-01-a"


def test_a_name_is_looked_for_and_a_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = runs(tmp_path / "results", "2026-01-01-a", "2026-01-02-b")
    monkeypatch.setenv(class_run.RUN_VARIABLE, "2026-01-01-a")
    assert class_run.path() == results / "2026-01-01-a"
    monkeypatch.setenv(class_run.RUN_VARIABLE, "results/2026-01-01-a")
    assert class_run.path() == Path("results/2026-01-01-a")
    monkeypatch.setenv(class_run.RUN_VARIABLE, "2026-01-03-c")
    with pytest.raises(NotFound, match="There is no 2026-01-03-c in a folder run/ or results/"):
        class_run.path()


def test_a_students_notebook_is_about_the_class_s_run_wherever_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = class_run.load(write(tmp_path / "results" / "2026-01-01-class"))
    runs(tmp_path / "results", "2026-01-02-other-full")
    source = notebook.read(Path(__file__).parents[3] / "notebooks" / "near-native.ipynb")
    made = notebook.version(source, "near-native", run, "2026-017")
    for name in (class_run.RUN_VARIABLE, students.VARIABLE):
        monkeypatch.setenv(name, "")  # so that the test's end restores what the cell sets
        monkeypatch.delenv(name)
    exec(made.cells[0].source, {})
    assert class_run.path().name == "2026-01-01-class"

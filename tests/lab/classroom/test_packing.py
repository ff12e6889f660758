"""The files that are packed for a class."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.classroom import packing
from lab.errors import InvalidRun, ReportFailed

RUN = Path(__file__).parents[3] / "results/2026-11-29-vm"


def test_a_file_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "packed"
    run.mkdir()
    folder.mkdir()
    (run / "picture.png").symlink_to(tmp_path / "gone")
    with pytest.raises(InvalidRun, match=r"Can't copy .*picture\.png: .*No such file"):
        packing._gather_texts(folder, run)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    archive = tmp_path / "file" / "class.tar"
    with pytest.raises(ReportFailed, match=f"Can't write {archive}: "):
        packing.pack(archive, RUN, lambda _: None, userland=False)


def test_hidden_files_of_a_run_are_not_packed(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "packed"
    (run / ".ipynb_checkpoints").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    folder.mkdir()
    packing._gather_texts(folder, run)
    assert [path.name for path in (folder / "run/run").iterdir()] == ["run.json"]

"""Notebooks made, answered and collected: what students do to them, and what counts."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.classroom import answers, collection, exercises, notebook
from lab.cli.main import main
from lab.errors import AlreadyExists, InvalidConfig, NotFound
from lab.results import run_folder

if TYPE_CHECKING:
    from lab.results.run_folder import Run

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"
NAME = "how-many-fit"


@pytest.fixture(scope="module")
def run() -> Run:
    return run_folder.load(COMMITTED)


def source() -> Any:
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    return new_notebook(
        cells=[
            new_markdown_cell("# Title", id="t"),
            new_markdown_cell("english", id="e", metadata={"tags": ["lang-en"]}),
            new_markdown_cell("中文", id="z", metadata={"tags": ["lang-zh"]}),
            new_markdown_cell("secret", id="s", metadata={"tags": ["teacher"]}),
            new_code_cell("1 + 1", id="c", outputs=[], execution_count=3),
        ]
    )


def made(run: Run, path: Path, student: str = "2026-017", **options: Any) -> Path:
    notebook.write(notebook.version(source(), NAME, run, student, **options), path)
    return path


def answer(path: Path, given: dict[int, str], before: str = "") -> None:
    """Put answers into a notebook: the source of each argument."""
    document = json.loads(path.read_text())
    for cell in document["cells"]:
        for number, text in given.items():
            if cell["id"] == f"answer-{number}":
                cell["source"] = [before, f"questions.check({number}, answer={text})"]
    path.write_text(json.dumps(document))


def right(run: Run, student: str = "2026-017") -> dict[int, str]:
    asked = exercises.questions(NAME, run, student)
    return {number: repr(asked.question(number).key.example()) for number in asked.numbers}


def test_the_students_version_has_no_answers_and_one_language(run: Run, tmp_path: Path) -> None:
    text = made(run, tmp_path / "a.ipynb", language="zh").read_text()
    assert "中文" in text
    assert "english" not in text
    assert "secret" not in text
    asked = exercises.questions(NAME, run, "2026-017", "zh")
    assert asked.question(1).key.example() not in text
    assert '"execution_count": 3' not in text


def test_the_teachers_version_has_answers_and_points(run: Run, tmp_path: Path) -> None:
    text = made(run, tmp_path / "a.ipynb", teacher=True).read_text()
    asked = exercises.questions(NAME, run, "2026-017", "en")
    assert "secret" in text
    assert asked.question(1).key.example() in text


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    path = made(run, tmp_path / "a.ipynb")
    with pytest.raises(AlreadyExists):
        made(run, path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.ipynb"]


def test_right_answers_get_all_points(run: Run, tmp_path: Path) -> None:
    answer(made(run, tmp_path / "2026-017" / "x.ipynb"), right(run))
    report = collection.collect(tmp_path, run).reports["2026-017"]
    checked = report.notebooks[NAME]
    assert checked.points == checked.most > 0
    assert checked.remarks == ()


def test_a_renamed_notebook_without_metadata_is_known_by_its_cells(
    run: Run, tmp_path: Path
) -> None:
    path = made(run, tmp_path / "final (2).ipynb")
    answer(path, right(run))
    document = json.loads(path.read_text())
    document["metadata"] = {"kernelspec": {"name": "xeus-python", "display_name": "other"}}
    path.write_text(json.dumps(document))
    checked = collection.collect(tmp_path, run).reports["2026-017"].notebooks[NAME]
    assert checked.points == checked.most
    assert "its metadata are lost" in checked.remarks


@pytest.mark.parametrize(
    "source",
    [
        "open('{marker}', 'w')\nquestions.check(1, answer=1)",
        "questions.check(1, answer=__import__('pathlib').Path('{marker}').touch())",
        "questions.check(1, answer=(lambda: open('{marker}', 'w'))())",
        "!touch {marker}\n%run x\nquestions.check(1, 1)",
        "questions.check(1, " + "(" * 500 + ")" * 500 + ")",
        "\0",
        "questions.check(1, 10**10**10)",
    ],
)
def test_no_code_of_a_submission_runs(run: Run, tmp_path: Path, source: str) -> None:
    marker = tmp_path / "ran"
    path = made(run, tmp_path / "in" / "x.ipynb")
    document = json.loads(path.read_text())
    document["cells"].append({"cell_type": "code", "source": source.format(marker=marker)})
    path.write_text(json.dumps(document))
    collected = collection.collect(tmp_path / "in", run)
    assert not marker.exists()
    assert list(collected.reports) == ["2026-017"]


def test_the_last_literal_counts_also_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    cells = [
        "a = '4 ms'\nq.check(1, '1 ms')",
        "q.check(1, a)\nq.check(2, ['B', 'A'])\nq.check(number=3, answer=-5)",
        "a = input()\nq.check(4, a)\nq.check(True, 1)\nq.check(5, None)",
        "q.check(6, 'x'\nthis is broken\nq.check(7, 'kept')",
    ]
    document = {"cells": [{"cell_type": "code", "source": each} for each in cells]}
    path.write_text(json.dumps(document))
    submission = answers.read(path)
    assert submission.answers == {1: "4 ms", 2: ["B", "A"], 3: -5, 7: "kept"}
    assert any("question 4 is computed" in remark for remark in submission.remarks)


def test_of_two_copies_the_better_one_counts(run: Run, tmp_path: Path) -> None:
    path = made(run, tmp_path / "b.ipynb")
    shutil.copy(path, tmp_path / "a.ipynb")
    answer(path, right(run))
    report = collection.collect(tmp_path, run).reports["2026-017"]
    assert report.notebooks[NAME].file == "b.ipynb"
    assert report.remarks == [f"{NAME} was submitted twice: b.ipynb counts, a.ipynb does not"]


def test_broken_files_are_named_and_the_rest_counts(run: Run, tmp_path: Path) -> None:
    made(run, tmp_path / "good.ipynb")
    (tmp_path / "empty.ipynb").write_text("")
    (tmp_path / "list.ipynb").write_text("[]")
    (tmp_path / "half.ipynb").write_text((tmp_path / "good.ipynb").read_text()[:900])
    (tmp_path / "deep.ipynb").write_text("[" * 100_000)
    (tmp_path / "odd.ipynb").write_text('{"cells": [1, null, {"cell_type": "code", "source": 3}]}')
    (tmp_path / ".ipynb_checkpoints").mkdir()
    shutil.copy(tmp_path / "good.ipynb", tmp_path / ".ipynb_checkpoints")
    (tmp_path / "link.ipynb").symlink_to("good.ipynb")
    collected = collection.collect(tmp_path, run, ["2026-017", "2026-018"])
    assert list(collected.reports) == ["2026-017"]
    assert sorted(file for file, _ in collected.unusable) == [
        "deep.ipynb", "empty.ipynb", "half.ipynb", "link.ipynb", "list.ipynb", "odd.ipynb",
    ]  # fmt: skip
    assert collected.missing == [("2026-018", NAME)]


def test_links_and_special_files_are_named(run: Run, tmp_path: Path) -> None:
    """They were passed over silently, and a student's work with them."""
    made(run, tmp_path / "in" / "2026-017" / "x.ipynb")
    made(run, tmp_path / "home" / "x.ipynb", "2026-018")
    (tmp_path / "in" / "2026-018").symlink_to(tmp_path / "home")
    (tmp_path / "in" / "away").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in" / "pipe.ipynb")
    (tmp_path / "in" / "notes.txt").symlink_to("nowhere")
    (tmp_path / "in" / ".hidden").symlink_to(tmp_path / "home")
    collected = collection.collect(tmp_path / "in", run)
    assert list(collected.reports) == ["2026-017"]
    assert sorted(file for file, _ in collected.unusable) == ["2026-018", "pipe.ipynb"]


def test_another_students_notebook_in_a_folder_is_noticed(run: Run, tmp_path: Path) -> None:
    made(run, tmp_path / "2026-018" / "x.ipynb", "2026-017")
    checked = collection.collect(tmp_path, run).reports["2026-017"].notebooks[NAME]
    assert checked.remarks == ("it is in the folder 2026-018, but names another student",)


def test_remarks_are_in_the_chosen_language(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(run, tmp_path / "in" / "2026-018" / "x.ipynb", "2026-017")
    (tmp_path / "class.csv").write_text("2026-017\n2026-019\n")
    arguments = [
        "class", "collect", str(tmp_path / "in"), "--run", str(run.path), "--lang", "zh",
        "--students", str(tmp_path / "class.csv"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split() == ["学生", "笔记本", "得分", "满分"]
    assert shown.err.splitlines() == [
        "2026-018/x.ipynb：位于文件夹 2026-018 中，写的却是另一名学生",
        f"2026-019：缺少 {NAME}",
    ]


def test_the_teachers_version_is_no_submission(run: Run, tmp_path: Path) -> None:
    made(run, tmp_path / "x.ipynb", teacher=True)
    assert collection.collect(tmp_path, run).reports == {}


def test_results_are_written_for_each_student(run: Run, tmp_path: Path) -> None:
    student = "=1+1 ../张"
    answer(made(run, tmp_path / "in" / "x.ipynb", student), {1: "'=cmd()'"})
    written = collection.write(collection.collect(tmp_path / "in", run), tmp_path / "out")
    assert {path.parent for path in written} == {tmp_path / "out"}
    document = json.loads(next(path for path in written if path.suffix == ".json").read_text())
    assert document["student"] == student
    assert document["notebooks"][0]["questions"][0]["answer"] == "=cmd()"
    lines = (tmp_path / "out" / "points.csv").read_text(encoding="utf-8-sig").splitlines()
    assert (tmp_path / "out" / "points.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert lines[0].startswith("student,")
    assert lines[1].startswith("'=1+1 ../张,")
    assert "'=cmd()" in lines[1]


def test_folders_without_notebooks_are_refused(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFound):
            collection.collect(path, run)
    (tmp_path / "x.ipynb").write_text("{}")
    with pytest.raises(InvalidConfig):
        notebook.read(tmp_path / "x.ipynb")


def test_reasons_are_in_the_language_that_was_chosen(run: Run, tmp_path: Path) -> None:
    made(run, tmp_path / "2026-017" / f"{NAME}.ipynb")
    collected = collection.collect(tmp_path, run, language="zh")
    first = collected.document()["students"][0]["notebooks"][0]["questions"][0]
    assert first["reason"] == next(iter(collected.rows()))[7]
    assert any("一" <= letter <= "鿿" for letter in first["reason"])


HUGE = "0x" + "f" * 6000  # Python refuses to write it in decimal digits


@pytest.mark.parametrize("call", [f"questions.check(1, {HUGE})", f"questions.check(1, [{HUGE}])"])
def test_an_integer_that_cannot_be_shown_is_no_answer(run: Run, tmp_path: Path, call: str) -> None:
    path = made(run, tmp_path / "2026-017" / f"{NAME}.ipynb")
    document = json.loads(path.read_text())
    document["cells"].append({"cell_type": "code", "source": call, "metadata": {}, "outputs": []})
    path.write_text(json.dumps(document))
    collected = collection.collect(tmp_path, run)
    remarks = collected.reports["2026-017"].notebooks[NAME].remarks
    assert "the answer to question 1 is computed: write its value instead" in remarks


@pytest.mark.parametrize("cells", [5, "abc", {"a": 1}, None])
def test_an_odd_notebook_of_format_3_costs_no_other_submission(
    run: Run, tmp_path: Path, cells: object
) -> None:
    made(run, tmp_path / "2026-017" / f"{NAME}.ipynb")
    odd = tmp_path / "2026-018" / f"{NAME}.ipynb"
    odd.parent.mkdir()
    odd.write_text(json.dumps({"worksheets": [{"cells": cells}], "metadata": {}}))
    assert set(collection.collect(tmp_path, run).reports) == {"2026-017", "2026-018"}


@pytest.mark.filterwarnings("error")
def test_what_python_warns_of_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "source": "questions.check(1, '4 \\d')\nx = 1 is 1"}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}}))
    assert answers.read(path).answers == {1: "4 \\d"}


def test_a_notebook_is_written_where_there_are_no_hard_links(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)  # as FAT does
    path = made(run, tmp_path / "a.ipynb")
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        made(run, path, "2026-018")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

"""Shared parts of the notebooks: the run, the student, and text in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.analysis.step_names import step_name
from lab.classroom import class_run, lessons, students
from lab.classroom.exercises import wording
from lab.errors import InvalidConfig, NotFound
from lab.language import choice
from lab.language.message import Language
from tests.lab.plausible import write


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (class_run.RUN_VARIABLE, students.VARIABLE, choice.VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_a_named_run_is_read_from_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "my run, März" / "run", experiments=("footprint",))
    monkeypatch.setenv(class_run.RUN_VARIABLE, str(path))
    assert lessons.run().path == path


def test_a_notebook_in_a_folder_of_a_run_is_about_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "run", experiments=("footprint",))
    monkeypatch.chdir(path)
    assert lessons.run().path == path


def test_without_any_run_a_sentence_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_run, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match="TONNAGE_RUN") as caught:
        lessons.run()
    assert isinstance(caught.value, lessons.NoRun)
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(class_run.RUN_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(lessons.NoRun, match="gone"):
        lessons.run()


def test_the_student_is_named_or_a_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lessons.student() == "demo"
    monkeypatch.setenv(students.VARIABLE, "Ada 李")
    assert lessons.student() == "Ada 李"


def test_a_paragraph_is_shown_in_both_languages_or_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def paragraph() -> str:
        return lessons.say(
            "It takes *{time}*.", "需要 *{time}*。", time="3_a_b ms"
        )._repr_markdown_()

    assert paragraph() == "It takes *3_a_b ms*.\n\n需要 *3_a_b ms*。"
    monkeypatch.setenv(choice.VARIABLE, "zh")
    assert wording.languages() == (Language.CHINESE,)
    assert paragraph() == "需要 *3_a_b ms*。"
    monkeypatch.setenv(choice.VARIABLE, "en")
    assert paragraph() == "It takes *3_a_b ms*."


def test_a_field_can_not_mark_up_its_paragraph() -> None:
    assert r"\*\*" in repr(lessons.say("{name}", "{name}", name="**bold**"))


def test_a_table_has_its_headings_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_line() -> str:
        return repr(lessons.table(["n", ("target", "被测对象")], [(1, "vm")])).splitlines()[0]

    assert first_line() == "| n | target / 被测对象 |"
    monkeypatch.setenv(choice.VARIABLE, "zh")
    assert first_line() == "| n | 被测对象 |"


def test_a_message_is_shown_in_the_languages_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    step = step_name("until it answers")
    table = lessons.table(["n"], [(step,)])
    assert repr(table).splitlines()[-1] == "| until it answers / 直到应答 |"
    said = lessons.say("The longest is {step}.", "最长的是{step}。", step=step)
    assert repr(said) == "The longest is until it answers.\n\n最长的是直到应答。"
    monkeypatch.setenv(choice.VARIABLE, "zh")
    assert repr(lessons.table(["n"], [(step,)])).splitlines()[-1] == "| 直到应答 |"


def test_an_unknown_language_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "fr")
    with pytest.raises(
        InvalidConfig, match=re.escape("TONNAGE_LANG is 'fr': set it to en, zh or both")
    ):
        wording.languages()


def test_the_projects_own_run_is_that_of_its_makefile() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    assert f"RUN ?= {class_run.COMMITTED}\n" in makefile

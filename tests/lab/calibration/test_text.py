"""The text of a calibration."""

from __future__ import annotations

import json

from lab.calibration import names, text
from lab.language.message import Language, translated
from tests.lab.calibration.simulated import calibration


def test_missed_bounds_are_in_the_text() -> None:
    found = calibration(right=170)
    assert found.missed() == ["native against itself"]
    document = json.loads(json.dumps(found.document()))
    assert "missed bounds: native against itself" in text.sentence(document)
    assert "**no**" in text.markdown(document)


def test_names_of_trials_are_stored_in_english_and_shown_in_chinese() -> None:
    made = [
        names.work_against_itself("native"),
        names.starts_against_itself("container"),
        names.precision_against_itself("native", 0.05),
        names.slow_down(0.1),
        names.time_added(names.START),
    ]
    assert str(made[3]) == "a slow-down of 10%, to a precision of 10%"
    for name in made:
        shown = translated(names.stored(str(name)), Language.CHINESE)
        assert not set("abcdefghijklmnopqrstuvwxyz") & set(shown)


def test_a_name_that_is_not_known_is_shown_as_it_is() -> None:
    assert translated(names.stored("something else"), Language.CHINESE) == "something else"

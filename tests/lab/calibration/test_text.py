"""The text of a calibration."""

from __future__ import annotations

import json

from lab.calibration import text
from tests.lab.calibration.simulated import calibration


def test_missed_bounds_are_in_the_text() -> None:
    found = calibration(right=170)
    assert found.missed() == ["native against itself"]
    document = json.loads(json.dumps(found.document()))
    assert "missed bounds: native against itself" in text.sentence(document)
    assert "**no**" in text.markdown(document)

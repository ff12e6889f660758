"""The stored calibration: only complete ones, undamaged, of this host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.calibration import model, store, text
from tests.lab.calibration.simulated import calibration


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


def test_too_few_repetitions_are_neither_stored_nor_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert store.save(calibration())
    short = calibration()
    short.trials = [model.judge_trial("native against itself", 0, None, [15] * 2, 2, 0)]
    assert not store.save(short)
    document = store.newest()
    assert document is not None
    assert document["trials"][0]["repetitions"] == 200
    document = json.loads(json.dumps(short.document()))
    assert (short.missed(), short.undecided()) == ([], ["native against itself"])
    assert "2 repetitions of a trial, on 2026-11-24, are too few" in text.sentence(document)
    document["trials"][0]["met"] = True  # as it was recorded before
    assert "undecided: fewer than 59 repetitions" in text.markdown(document)


@pytest.mark.parametrize(
    ("whole", "torn"),
    [("", ""), ("}", ""), ("0.", "NaN"), ('"trials"', '"trial"'), ("200", "0"), ("200", "1e400")],
)
def test_a_damaged_file_is_not_used(whole: str, torn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    store.save(calibration())
    file = store.newest_path()
    file.write_text(file.read_text().replace(whole, torn) if whole else "")
    assert store.newest() is None


def test_the_newest_is_used_on_its_own_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert store.newest() is None
    store.save(calibration())
    document = store.newest()
    assert document is not None
    assert "99 % of repetitions" in text.sentence(document)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert store.newest() is None
    assert "not calibrated" in text.sentence(None)

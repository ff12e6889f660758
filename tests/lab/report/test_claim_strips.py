"""The strips of a card: where they draw the claimed range, the figure and its interval."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from lab.claims import table
from lab.claims.evidence import Figure
from lab.claims.finding import Range, Verdict
from lab.report import claim_strips
from lab.results import run_folder

RESULTS = Path(__file__).parents[3] / "results"
SECONDS = Range(1, 60, "second")
FIGURE = Figure("ready", 0.1, 0.05, 0.2, "second", "9 rounds")


def test_a_figure_lies_where_its_value_does_on_the_scale_of_all() -> None:
    (first, second) = claim_strips.strips([FIGURE, replace(FIGURE, centre=10.0)], SECONDS)
    assert first
    assert second
    assert first.band == second.band
    assert 0 < first.low < first.centre < first.high < first.band[0] < second.centre
    assert second.centre < first.band[1] < 100


def test_a_range_without_bound_ends_at_the_edge() -> None:
    (above,) = claim_strips.strips([FIGURE], Range(1, inf, "second"))
    (below,) = claim_strips.strips([FIGURE], Range(0, 1, "second"))
    assert above
    assert below
    assert above.band[1] == 100
    assert below.band[0] == 0


@pytest.mark.parametrize("centre", [0.0, -1.0, inf])
def test_what_a_logarithmic_scale_has_no_place_for_is_not_drawn(centre: float) -> None:
    assert claim_strips.strips([replace(FIGURE, centre=centre)], SECONDS) == [None]


def test_a_figure_of_another_kind_has_no_strip() -> None:
    assert claim_strips.strips([replace(FIGURE, unit="byte"), FIGURE], SECONDS)[0] is None
    assert claim_strips.strips([FIGURE], None) == [None]


def test_an_unknown_interval_is_a_mere_dot() -> None:
    (strip,) = claim_strips.strips([replace(FIGURE, low=None, high=None)], SECONDS)
    assert strip
    assert strip.low == strip.centre == strip.high


@pytest.mark.parametrize("name", ["2026-11-29-vm-full", "2026-11-29-vm"])
def test_a_strip_shows_what_the_verdict_says(name: str) -> None:
    decided = 0
    for row in table.examine(run_folder.load(RESULTS / name)):
        strips = list(filter(None, claim_strips.strips(row.figures, row.claimed)))
        within = [each.band[0] <= each.low and each.high <= each.band[1] for each in strips]
        without = [each.high <= each.band[0] or each.low >= each.band[1] for each in strips]
        if strips and row.verdict is Verdict.HOLDS:
            assert all(within), row.claim
            decided += 1
        if strips and row.verdict is Verdict.FAILS:
            assert any(without), row.claim
            decided += 1
    assert decided >= 8


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        (SECONDS, "claimed: 1 s to 60 s (log scale)"),
        (Range(60, 3600, "second"), "claimed: 60 s to 1 h (log scale)"),
        (Range(1e6, 1e9, "byte"), "claimed: 1 MB to 1 GB (log scale)"),
        (Range(10, 100, "integer"), "claimed: 10 to 99 (log scale)"),
        (Range(0, 1.1, "ratio"), "claimed: up to 1.10 × (log scale)"),
        (Range(1000, inf, "integer"), "claimed: 1,000 or more (log scale)"),
    ],
)
def test_the_range_is_told_as_people_claim_it(claimed: Range, words: str) -> None:
    assert claim_strips.words(claimed) == words

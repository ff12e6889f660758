"""Ranks: only where intervals don't overlap."""

from __future__ import annotations

from lab.report.ranking import ranks


def shown(*found: object) -> list[str]:
    return [str(each) for each in found]


def test_intervals_that_do_not_overlap_are_ranked() -> None:
    assert shown(*ranks([(1.0, 2.0), (5.0, 6.0), (3.0, 4.0)], "less")) == ["1", "3", "2"]


def test_more_can_be_better() -> None:
    assert shown(*ranks([(1.0, 2.0), (5.0, 6.0)], "more")) == ["2", "1"]


def test_intervals_that_overlap_share_their_ranks() -> None:
    # The second may be first or second, the third overlaps with the second alone.
    found = ranks([(1.0, 2.0), (1.5, 3.5), (3.0, 4.0), (9.0, 9.5)], "less")
    assert shown(*found) == ["1 – 2", "1 – 3", "2 – 3", "4"]


def test_equal_counts_share_a_range() -> None:
    assert shown(*ranks([(7.0, 7.0), (7.0, 7.0)], "less")) == ["1 – 2", "1 – 2"]


def test_without_an_interval_or_a_direction_there_is_no_rank() -> None:
    assert ranks([(1.0, 2.0), (None, None)], "less") == [None, None]
    assert ranks([(1.0, 2.0), (3.0, 4.0)], None) == [None, None]
    with_one_unknown = ranks([(1.0, 2.0), (None, 3.0), (5.0, 6.0)], "less")
    assert shown(*with_one_unknown) == ["1", "None", "2"]

"""Percentiles are interpolated between ranks."""

from __future__ import annotations

import pytest

from lab.statistics.percentiles import percentile


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [([3.0, 1.0, 2.0], 50, 2.0), ([1.0, 2.0], 50, 1.5), ([1.0, 2.0], 100, 2.0), ([5.0], 99, 5.0)],
)
def test_a_percentile_lies_between_the_nearest_ranks(
    values: list[float], share: float, value: float
) -> None:
    assert percentile(values, share) == value

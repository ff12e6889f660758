"""Histograms of response times."""

from __future__ import annotations

import numpy as np
import pytest

from lab.scaling import latencies


def test_a_bin_is_within_a_64th_of_an_octave() -> None:
    times = np.random.default_rng(1).lognormal(-3, 2, 10_000)
    times = np.concatenate((times[times > 1e-6], [2e-6, 1e-5, 36_000.0, 366 * 86_400.0]))
    middle = latencies.middles()[latencies.bins(times)]
    assert np.abs(middle / times - 1).max() < 1 / 128 + 1e-12


def test_bins_ascend_with_time() -> None:
    middles = latencies.middles()
    assert (np.diff(middles) > 0).all()
    assert latencies.bins(middles).tolist() == list(range(latencies.COUNT))


def test_times_beyond_are_in_the_end_bins() -> None:
    assert latencies.bins(np.array([1e-9, 1e-7, 1e9])).tolist() == [0, 0, latencies.COUNT - 1]


def test_percentiles_are_those_of_the_values() -> None:
    times = np.random.default_rng(2).exponential(0.05, 20_001)
    histogram = np.bincount(latencies.bins(times), minlength=latencies.COUNT)
    shares = (0.5, 0.95, 0.99)
    exact = np.quantile(times, shares, method="inverted_cdf")
    assert latencies.percentiles(histogram, shares) == pytest.approx(exact.tolist(), rel=0.008)


def test_an_empty_histogram_has_no_percentiles() -> None:
    assert latencies.percentiles(np.zeros(latencies.COUNT, dtype=np.int64), (0.5,)) == [None]

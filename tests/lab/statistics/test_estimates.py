"""Intervals have their confidence level, and are None where they are unknown."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.statistics.estimates import (
    FEWEST_POINTS,
    RESAMPLES,
    Estimate,
    count_outliers,
    dependence,
    estimate_median,
    estimate_nested,
    estimate_slope,
    geometric_mean,
    paired_ratio,
    scatter_of_ratios,
    slope,
    smallest_difference,
)

durations = st.floats(min_value=1e-6, max_value=1e4)


def test_one_value_has_no_interval() -> None:
    assert estimate_median([0.002]) == Estimate(0.002, None, None, 1)


def test_no_value_has_no_centre() -> None:
    assert estimate_median([]) == Estimate(None, None, None, 0)


def test_two_values_have_a_wide_interval() -> None:
    two = estimate_median([1.0, 1.1])
    assert two.low is not None
    assert two.high is not None
    assert two.low < 0.7
    assert two.high > 1.5


def test_values_that_do_not_vary_have_an_interval_without_width() -> None:
    assert estimate_median([4096.0] * 3) == Estimate(4096.0, 4096.0, 4096.0, 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [random.Random(1).lognormvariate(0, 0.3) for _ in range(30)]
    assert estimate_median(values, seed=7) == estimate_median(values, seed=7)


@settings(max_examples=25, deadline=None)
@given(st.lists(durations, min_size=2, max_size=12))
def test_the_interval_contains_its_centre(values: list[float]) -> None:
    estimate = estimate_median(values)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.centre * (1 + 1e-9)  # type: ignore[operator]
    assert estimate.high >= estimate.centre * (1 - 1e-9)  # type: ignore[operator]
    assert estimate.low > 0


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_interval_has_its_confidence_level(n: int) -> None:
    chance = random.Random(n)
    truth, repetitions = 1.0, 200
    covered = 0
    for _ in range(repetitions):
        values = [truth * chance.lognormvariate(0, 0.2) for _ in range(n)]
        estimate = estimate_median(values)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
    # 95 % less three standard errors of 200 repetitions; a bootstrap of 3 values covers 75 %.
    assert covered / repetitions >= 0.90


def test_a_single_outlier_does_not_move_the_centre() -> None:
    assert estimate_median([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 50.0]).centre == 1.0


def test_zero_among_few_values_is_no_error() -> None:
    estimate = estimate_median([0.0, 4096.0, 4096.0])
    assert estimate.centre == 4096.0
    assert estimate.low is not None
    assert math.isfinite(estimate.low)


def test_pairing_removes_the_effect_of_a_round_on_both() -> None:
    noise_of_round = {0: 1.0, 1: 9.0, 2: 2.0, 3: 30.0, 4: 1.5, 5: 4.0}
    ratio = paired_ratio({k: 3 * w for k, w in noise_of_round.items()}, noise_of_round)
    assert ratio == Estimate(3.0, 3.0, 3.0, 6)


def test_rounds_with_one_target_only_are_not_pairs() -> None:
    ratio = paired_ratio({0: 2.0, 5: 2.0, 7: 9.0}, {0: 1.0, 1: 1.0, 5: 1.0, 7: 0.0})
    assert (ratio.centre, ratio.n) == (2.0, 2)
    assert paired_ratio({0: 2.0}, {1: 1.0}).centre is None


def test_the_level_that_varies_is_resampled() -> None:
    """Rounds differ by 20 %, iterations by 2 %: 30 iterations are not 30 independent values."""
    chance = random.Random(4)
    covered = pooled = 0
    for _ in range(100):
        rounds = []
        for _ in range(6):
            noise_of_round = chance.lognormvariate(0, 0.2)
            rounds.append([noise_of_round * chance.lognormvariate(0, 0.02) for _ in range(5)])
        nested = estimate_nested(rounds)
        flat = estimate_median(chance.sample([value for values in rounds for value in values], 30))
        assert nested.low is not None
        assert nested.high is not None
        assert flat.low is not None
        assert flat.high is not None
        covered += nested.low <= 1 <= nested.high
        pooled += flat.low <= 1 <= flat.high
    assert covered >= 89  # 95 less three standard errors
    assert pooled < 80


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_scatter_of_a_block_design_has_its_confidence_level(confidence: float) -> None:
    """Three rounds of six targets give a far narrower interval than two degrees of freedom."""
    chance = random.Random(5)
    repetitions, covered = 400, 0
    narrower = []
    for _ in range(repetitions):
        noise_of_round = [chance.lognormvariate(0, 0.3) for _ in range(3)]
        table = [[w * (2 if row else 1) * chance.lognormvariate(0, 0.1) for w in noise_of_round]
                 for row in range(6)]  # fmt: skip
        ratios = [ours / theirs for ours, theirs in zip(table[1], table[0], strict=True)]
        estimate = estimate_median(ratios, 0, confidence, scatter_of_ratios(table))
        alone = estimate_median(ratios, 0, confidence)
        assert estimate.low and estimate.high and alone.low and alone.high
        covered += estimate.low <= 2 <= estimate.high
        narrower.append(math.log(alone.high / alone.low) / math.log(estimate.high / estimate.low))
    assert covered / repetitions >= confidence - 3 * math.sqrt(confidence * (1 - confidence) / 400)
    assert sorted(narrower)[repetitions // 2] > 1.5


def test_two_targets_scatter_as_their_ratio_does() -> None:
    table = [[1.0, 1.1, 0.9, 1.05], [1.2, 1.15, 1.0, 1.3]]
    ratios = [ours / theirs for ours, theirs in zip(*table, strict=True)]
    known = estimate_median(ratios, 0, 0.95, scatter_of_ratios(table))
    assert known.low == pytest.approx(estimate_median(ratios).low)


@pytest.mark.parametrize("table", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 0.0], [1.0, 2.0]]])
def test_a_table_without_blocks_has_no_scatter(table: list[list[float]]) -> None:
    assert scatter_of_ratios(table) is None


def correlated(chance: random.Random, n: int, correlation: float) -> list[float]:
    """Return values around 1 with this correlation of successive values."""
    state, values = chance.gauss(0, 1), []
    for _ in range(n):
        state = correlation * state + math.sqrt(1 - correlation**2) * chance.gauss(0, 1)
        values.append(math.exp(0.1 * state))
    return values


def test_correlated_rounds_widen_the_interval() -> None:
    chance = random.Random(2)
    covered = as_if_independent = 0
    for _ in range(100):
        values = correlated(chance, 30, 0.6)
        estimate = estimate_median(values)
        shuffled = estimate_median(chance.sample(values, 30))
        assert estimate.low and estimate.high and shuffled.low and shuffled.high
        covered += estimate.low <= 1 <= estimate.high
        as_if_independent += shuffled.low <= 1 <= shuffled.high
    assert as_if_independent <= 80
    assert covered >= as_if_independent + 8


def test_independent_rounds_are_rarely_taken_for_dependent() -> None:
    chance = random.Random(3)
    taken = [dependence([chance.lognormvariate(0, 0.2) for _ in range(n)]) > 1
             for n in (8, 12, 24) for _ in range(200)]  # fmt: skip
    assert sum(taken) / len(taken) < 0.08


def test_dependence_follows_from_ranks_and_order() -> None:
    drifting = [1.0 + 0.01 * number for number in range(20)]
    assert dependence(drifting) > 5
    assert dependence([*drifting[:19], 500.0]) == dependence(drifting)
    assert dependence(sorted(drifting, key=lambda value: value * 7919 % 1)) == 1
    assert dependence(drifting[:7]) == 1
    assert dependence([3.0] * 20) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(durations, min_size=8, max_size=14).map(sorted))
def test_a_widened_interval_contains_its_centre(values: list[float]) -> None:
    estimate = estimate_median(values)
    assert estimate.centre is not None and estimate.low is not None and estimate.high is not None
    assert 0 < estimate.low <= estimate.centre * (1 + 1e-9)
    assert estimate.high >= estimate.centre * (1 - 1e-9)


def test_levels_become_medians_from_the_inside_out() -> None:
    assert estimate_nested([[[1.0, 2.0, 9.0], [4.0, 4.0]], 5.0]) == estimate_median([3.0, 5.0])


def test_one_outer_member_has_no_interval() -> None:
    assert estimate_nested([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]) == Estimate(4.0, None, None, 1)


def test_outliers_are_counted_and_kept() -> None:
    values = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 50.0]
    assert count_outliers(values) == 1
    assert estimate_median(values).n == 7
    assert count_outliers([1.0, 1.0, 50.0]) == 0


def test_the_smallest_difference_is_detected_as_often_as_stated() -> None:
    chance = random.Random(8)
    n, noise, repetitions = 15, 0.05, 120

    def values(truth: float) -> list[float]:
        return [truth * chance.lognormvariate(0, noise) for _ in range(n)]

    promised = [smallest_difference(estimate_median(values(1.0))) for _ in range(40)]
    typical = sorted(each for each in promised if each is not None)[20]
    detected = sum((estimate_median(values(1 + typical)).low or 0) > 1 for _ in range(repetitions))
    assert detected / repetitions >= 0.88
    assert smallest_difference(Estimate(1.0, None, None, 1)) is None


def test_a_single_outlier_does_not_tilt_the_slope() -> None:
    running = [0, 25, 50, 75, 100, 125, 150]
    memory = [1000.0 + 3 * x for x in running]
    assert slope(running, memory) == pytest.approx(3.0)
    memory[4] += 10_000
    assert slope(running, memory) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(("x", "y"), [([], []), ([0], [5.0]), ([3, 3], [1.0, 2.0])])
def test_without_two_points_the_slope_is_nan(x: list[float], y: list[float]) -> None:
    assert math.isnan(slope(x, y))
    assert estimate_slope(x, y).centre is None


def test_a_slope_of_enough_points_has_an_interval() -> None:
    running = list(range(12))
    memory = [2.0 * x + (0.3 if x % 2 else -0.3) for x in running]
    estimate = estimate_slope(running, memory)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= 2.0 <= estimate.high
    assert estimate.high - estimate.low < 1.0
    assert estimate_slope([0, 1, 2], [0.0, 2.0, 4.0]) == Estimate(2.0, None, None, 3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(-30, 30).map(lambda each: each / 7)),
        min_size=FEWEST_POINTS,
        max_size=40,
    ).filter(lambda points: len({x for x, _ in points}) > 1),
    st.sampled_from([0.95, 0.975]),
)
def test_the_interval_of_a_slope_is_that_of_scipy(
    points: list[tuple[int, float]], confidence: float
) -> None:
    from scipy.stats import theilslopes

    x, y = [list(each) for each in zip(*points, strict=True)]
    with np.errstate(invalid="ignore"):
        expected = theilslopes(y, x, alpha=confidence)
    known = not math.isnan(expected.low_slope)  # scipy's way to say that it is unknown
    assert estimate_slope(x, y, confidence) == Estimate(
        float(expected.slope),
        float(expected.low_slope) if known else None,
        float(expected.high_slope) if known else None,
        len(points),
    )


def test_the_geometric_mean_is_symmetric() -> None:
    ratios = [0.5, 2.0, 4.0]
    assert geometric_mean([1 / r for r in ratios]) == pytest.approx(1 / geometric_mean(ratios))


def test_estimates_load_scipy_only_on_use() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, lab.statistics.estimates; print(sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for heavy in ("scipy", "numpy", "pandas", "matplotlib"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize("n", [6, 7, 10, 31, 60])
@pytest.mark.parametrize("seed", [0, 20261129])
def test_the_bootstrap_is_that_of_scipy(n: int, seed: int) -> None:
    from scipy.stats import bootstrap, norm, t

    values = [(1.1 + 0.01 * place) ** (-1) ** place for place in range(n)]  # not correlated upwards
    outside = 2 * norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
    expected = bootstrap(
        (np.array(values),),
        np.median,
        confidence_level=1 - outside,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    found = estimate_median(values, seed)
    assert found.dependence == 1
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)

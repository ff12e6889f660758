"""Pricing: the sets that are worth most are found, and the bound on the worth holds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.planning.pricing import Knapsack, search
from lab.planning.relaxation import surrogate


def knapsack(
    sizes: list[list[int]], capacity: list[int], limits: list[int], apart: bool = False
) -> Knapsack:
    """Return a knapsack; with `apart`, the first two items exclude each other."""
    table, room = np.array(sizes, dtype=np.int64), np.array(capacity, dtype=np.int64)
    most = np.array(limits, dtype=np.int64)
    for row, size in zip(room, table.T, strict=True):
        most = np.where(size > 0, np.minimum(most, row // np.maximum(size, 1)), most)
    pairs = None
    if apart and len(limits) > 1:
        pairs = np.zeros((len(limits), len(limits)), dtype=np.bool_)
        pairs[0, 1] = pairs[1, 0] = True
    return Knapsack(table, room, most, table / np.maximum(room, 1), pairs)


def sets(sack: Knapsack) -> list[tuple[int, ...]]:
    """Return all feasible sets."""
    return [
        counts
        for counts in product(*(range(int(limit) + 1) for limit in sack.limits))
        if (np.array(counts) @ sack.sizes <= sack.capacity).all()
        and not (sack.apart is not None and counts[0] and counts[1])
    ]


@st.composite
def knapsacks(draw: st.DrawFn) -> tuple[Knapsack, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Draw a knapsack that brute force solves, and the worth of its items."""
    items, dimensions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    amounts = st.integers(0, 7)
    sizes = draw(
        st.lists(
            st.lists(amounts, min_size=dimensions, max_size=dimensions),
            min_size=items,
            max_size=items,
        )
    )
    capacity = draw(st.lists(st.integers(0, 15), min_size=dimensions, max_size=dimensions))
    limits = draw(st.lists(st.integers(0, 3), min_size=items, max_size=items))
    values = draw(st.lists(st.integers(0, 9), min_size=items, max_size=items))
    return knapsack(sizes, capacity, limits, draw(st.booleans())), np.array(values, dtype=float)


@given(knapsacks(), st.integers(-1, 20), st.booleans())
def test_a_whole_search_finds_the_best(
    case: tuple[Knapsack, np.ndarray[tuple[int], np.dtype[np.float64]]],
    threshold: int,
    plain: bool,
) -> None:
    sack, values = case
    weights = np.ones(len(sack.capacity)) if plain else surrogate(sack, values)
    found = search(sack, values, weights, float(threshold), nodes=10**6)
    best = max(float(np.array(counts) @ values) for counts in sets(sack))
    assert found.exhausted
    assert found.upper == pytest.approx(max(best, threshold))
    if best > max(threshold, 0):
        assert found.worth.max() == pytest.approx(best)
    for counts, worth in zip(found.counts, found.worth, strict=True):
        assert tuple(counts) in sets(sack)
        assert worth == pytest.approx(counts @ values)
        assert worth > threshold


@given(knapsacks(), st.integers(0, 10))
def test_every_set_above_the_threshold_is_found(
    case: tuple[Knapsack, np.ndarray[tuple[int], np.dtype[np.float64]]], threshold: int
) -> None:
    sack, values = case
    found = search(
        sack, values, np.ones(len(sack.capacity)), threshold + 0.5, nodes=10**6, every=True
    )
    usable = (values > 0) & (sack.limits > 0)
    wanted = {
        counts
        for counts in sets(sack)
        if np.array(counts) @ values > threshold + 0.5 and not np.array(counts)[~usable].any()
    }
    assert found.exhausted
    assert {tuple(map(int, counts)) for counts in found.counts} == wanted


@given(knapsacks(), st.integers(1, 4))
def test_a_search_that_is_cut_short_still_bounds_the_worth(
    case: tuple[Knapsack, np.ndarray[tuple[int], np.dtype[np.float64]]], nodes: int
) -> None:
    sack, values = case
    found = search(sack, values, np.ones(len(sack.capacity)), 0.0, nodes=nodes)
    best = max(float(np.array(counts) @ values) for counts in sets(sack))
    assert found.upper >= best - 1e-9


def test_dynamic_programming_ends_what_branching_leaves_open() -> None:
    # Even sizes never fill an odd capacity, and all are worth the same by weight.
    sizes = [[2 * size] for size in range(101, 161)]
    sack = knapsack(sizes, [1_001], [3] * 60)
    values = np.array([float(size) for (size,) in sizes])
    found = search(sack, values, np.ones(1), 999.0, nodes=3)
    assert found.upper == pytest.approx(1_000.0)
    assert (found.counts[0] @ sack.sizes)[0] == 1_000


def test_a_host_of_very_many_replicas_is_filled_at_once() -> None:
    sack = knapsack([[1, 3], [7, 2]], [10**9, 10**9], [10**6, 10**6])
    found = search(sack, np.array([1.0, 2.0]), np.ones(2), 0.0, nodes=1_000)
    assert found.upper == pytest.approx(3e6)
    assert found.counts[0].tolist() == [10**6, 10**6]

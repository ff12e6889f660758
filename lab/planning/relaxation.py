"""Linear relaxations without patterns: what a unit of each resource is worth on each kind of host.

If replicas could be cut at will, a host would carry what its capacity holds in all. The dual of
that linear program gives a first worth of a replica, a lower bound, and the weights of a surrogate.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import highspy
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from lab.planning import linear_model

if TYPE_CHECKING:
    from lab.planning.instance import FloatArray, Instance, IntArray
    from lab.planning.pricing import Knapsack

_OPTIMAL, _STOPPED = 0, 1  # statuses of scipy.optimize.linprog


class Worths(NamedTuple):
    """The worth of a replica of each item, and of all of each resource of a host, by kind."""

    values: FloatArray
    weights: FloatArray


def resource_worths(instance: Instance, seconds: float = inf) -> Worths:
    """Return the worths that prove the greatest lower bound, without patterns.

    Where too few hosts are available even so, their numbers are left out. After so many seconds,
    all resources of a host are worth the same.
    """
    until = monotonic() + seconds
    items, dimensions = instance.sizes.shape
    kinds = len(instance.kinds)
    scale = max(1.0, float(instance.prices.max()))
    limited = np.flatnonzero(np.isfinite(instance.available))
    # Variables: an item's worth, a resource's worth on each kind, and a rent for scarce hosts.
    first_rent = items + kinds * dimensions
    rows: list[IntArray] = []
    columns: list[IntArray] = []
    entries: list[FloatArray] = []
    row = 0
    for place, kind in enumerate(instance.kinds):
        carried = np.flatnonzero(kind.limits)
        own = row + np.arange(len(carried))
        rows += [own, np.repeat(own, dimensions)]
        resources = items + place * dimensions + np.arange(dimensions)
        columns += [carried, np.tile(resources, len(carried))]
        entries += [np.ones(len(carried)), -kind.shares[carried].ravel()]
        row += len(carried)
    for place in range(kinds):
        rows.append(np.full(dimensions, row + place))
        columns.append(items + place * dimensions + np.arange(dimensions))
        entries.append(np.ones(dimensions))
    rows.append(row + limited)
    columns.append(first_rent + np.arange(len(limited)))
    entries.append(np.full(len(limited), -1.0))
    shape = (row + kinds, first_rent + len(limited))
    # The stubs of linprog know no sparse matrix, and options by literal keys only.
    matrix: Any = coo_array(
        (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )
    limits: FloatArray = np.concatenate((np.zeros(row), instance.prices / scale))
    gains = np.zeros(shape[1])
    gains[:items] = instance.replicas / instance.replicas.sum()
    gains[first_rent:] = -instance.available[limited] / instance.replicas.sum()
    options: Any = {"time_limit": max(0.0, seconds)}
    solved = linprog(-gains, A_ub=matrix, b_ub=limits, method="highs-ds", options=options)
    if solved.status not in {_OPTIMAL, _STOPPED}:
        gains[first_rent:] = -1e6
        options["time_limit"] = max(0.0, until - monotonic())
        solved = linprog(-gains, A_ub=matrix, b_ub=limits, method="highs-ds", options=options)
    if solved.status != _OPTIMAL or solved.x is None:
        weights = np.repeat(instance.prices[:, None] / max(1, dimensions), dimensions, axis=1)
    else:
        found = np.maximum(solved.x, 0.0) * scale
        weights = found[items:first_rent].reshape(kinds, dimensions)
    return Worths(_values(instance, weights), weights)


def surrogate(knapsack: Knapsack, values: FloatArray) -> FloatArray:
    """Return weights of the resources with which Dantzig's bound is that of all resources at once.

    They are the dual solution of the knapsack's linear relaxation (Glover 1975).
    """
    usable = np.flatnonzero((values > 0) & (knapsack.limits > 0))
    dimensions = knapsack.shares.shape[1]
    if not len(usable) or dimensions <= 1:
        return np.ones(dimensions)
    shares, worth = knapsack.shares[usable], values[usable]
    scale = float(worth.max())
    most = knapsack.limits[usable].astype(np.float64)
    highs = linear_model.of_rows(np.full(dimensions, -np.inf), np.ones(dimensions))
    column, row = np.nonzero(shares)
    starts = np.searchsorted(column, np.arange(len(usable))).astype(np.int32)
    highs.addCols(
        len(usable),
        -worth / scale,
        np.zeros(len(usable)),
        most,
        len(column),
        starts,
        row.astype(np.int32),
        shares[column, row],
    )
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return np.ones(dimensions)
    duals = np.array(highs.getSolution().row_dual, dtype=np.float64)
    weights: FloatArray = np.maximum(-duals, 0.0) * scale
    return weights if weights.sum() > 0 else np.ones(dimensions)


def _values(instance: Instance, weights: FloatArray) -> FloatArray:
    """Return the most that a replica of each item may be worth, so that no host is overpaid."""
    worth = np.full((len(instance.kinds), len(instance.replicas)), np.inf)
    for place, kind in enumerate(instance.kinds):
        carried = kind.limits > 0
        worth[place, carried] = kind.shares[carried] @ weights[place]
    return np.asarray(worth.min(axis=0), dtype=np.float64)

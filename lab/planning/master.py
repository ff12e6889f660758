"""The restricted master problem: how many hosts take each known pattern (Gilmore, Gomory 1961)."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.planning.instance import FloatArray, Instance, IntArray

# Items, from which on interior points are faster than the simplex: ten times with 500 of them.
_MANY = 200


class Pool:
    """Columns of the master: patterns, each of a kind of host."""

    def __init__(self, items: int) -> None:
        self._items = items
        self.kinds: list[int] = []
        self.places: list[IntArray] = []
        self.counts: list[IntArray] = []
        self._known: set[tuple[int, bytes]] = set()

    def __len__(self) -> int:
        return len(self.kinds)

    def add(self, kind: int, counts: IntArray) -> bool:
        """Add a pattern; return False if it is known."""
        key = (kind, counts.tobytes())
        if key in self._known:
            return False
        self._known.add(key)
        places = np.flatnonzero(counts)
        self.kinds.append(kind)
        self.places.append(places)
        self.counts.append(counts[places])
        return True

    def pattern(self, column: int) -> IntArray:
        """Return the counts of a column, one for each item."""
        counts = np.zeros(self._items, dtype=np.int64)
        counts[self.places[column]] = self.counts[column]
        return counts

    def copy(self) -> Pool:
        """Return a pool of the same columns."""
        twin = Pool(self._items)
        twin.kinds, twin.places, twin.counts = self.kinds[:], self.places[:], self.counts[:]
        twin._known = set(self._known)
        return twin

    def keep(self, columns: IntArray) -> None:
        """Forget all other columns."""
        rows = sorted(map(int, columns))
        self._known = {(self.kinds[row], self.pattern(row).tobytes()) for row in rows}
        self.kinds = [self.kinds[row] for row in rows]
        self.places = [self.places[row] for row in rows]
        self.counts = [self.counts[row] for row in rows]


class Relaxed(NamedTuple):
    """An optimum of the relaxed master: hosts for each column, and the dual solution."""

    cost: float
    times: FloatArray
    values: FloatArray
    rents: FloatArray


class Whole(NamedTuple):
    """Whole hosts for each column, None if there are none; final if no others cost less."""

    times: IntArray | None
    is_final: bool


class Remaining(NamedTuple):
    """The replicas of each item that are not placed yet, and the hosts of each kind left."""

    replicas: IntArray
    available: FloatArray

    @classmethod
    def all_of(cls, instance: Instance) -> Remaining:
        """Return all that there is at first."""
        return cls(instance.replicas.copy(), instance.available)


def relax(
    instance: Instance,
    pool: Pool,
    remaining: Remaining,
    seconds: float,
    *,
    phase_one: bool = False,
    penalty: float | None = None,
) -> Relaxed | None:
    """Return the least cost of carrying what remains, with fractions of hosts; None if impossible.

    With a penalty, replicas may be left out at that price. In phase one hosts are free, and the
    penalty is 1.
    """
    if seconds <= 0 or not len(pool):
        return None
    items = len(instance.replicas)
    matrix, kinds = _rows(instance, pool, remaining)
    scale = 1.0 if phase_one else max(1.0, float(instance.prices.max()))
    costs = np.zeros(len(kinds)) if phase_one else instance.prices[kinds] / scale
    if phase_one:
        penalty = 1.0
    if penalty is not None:
        matrix = _with_slack(matrix, items)
        costs = np.concatenate((costs, np.full(items, penalty / scale)))
    limited = np.flatnonzero(np.isfinite(remaining.available))
    limits = _limits(remaining)
    options: Any = {"time_limit": seconds}
    if items > _MANY:
        solved = linprog(costs, A_ub=matrix, b_ub=limits, method="highs-ipm", options=options)
    else:
        solved = linprog(costs, A_ub=matrix, b_ub=limits, method="highs-ds", options=options)
    if solved.status or solved.x is None:
        return None
    duals = np.maximum(-solved.ineqlin.marginals, 0.0) * scale
    rents = np.zeros(len(instance.kinds))
    rents[limited] = duals[items:]
    times = np.maximum(solved.x[: len(kinds)], 0.0)
    return Relaxed(float(solved.fun or 0.0) * scale, times, duals[:items], rents)


def fill_whole(
    instance: Instance, pool: Pool, remaining: Remaining, seconds: float, below: int | None = None
) -> Whole:
    """Return whole numbers of hosts for the columns at the least cost found, by HiGHS.

    With `below`, only a cost below it is looked for.
    """
    if seconds <= 0 or not len(pool):
        return Whole(None, is_final=not len(pool))
    matrix, kinds = _rows(instance, pool, remaining)
    limited = np.flatnonzero(np.isfinite(remaining.available))
    limits = _limits(remaining)
    needed = np.concatenate((remaining.replicas > 0, np.ones(len(limited), dtype=np.bool_)))
    rows = np.flatnonzero(needed)
    costs = instance.prices[kinds] / instance.price_step
    constraints = [LinearConstraint(matrix.tocsr()[rows], -np.inf, limits[rows])]
    if below is not None:
        constraints.append(LinearConstraint(costs[None], -np.inf, below / instance.price_step - 1))
    with _silent_c_library():
        solved = milp(
            costs,
            integrality=np.ones(len(kinds), dtype=np.int64),
            bounds=Bounds(0, np.inf),
            constraints=constraints,
            options={"time_limit": seconds, "mip_rel_gap": 0.0},
        )
    times = None if solved.x is None else np.asarray(np.rint(solved.x), dtype=np.int64)
    return Whole(times, is_final=solved.status in {0, 2})


@contextmanager
def _silent_c_library() -> Iterator[None]:
    """Drop what C code prints: HiGHS may write a line to standard output unasked."""
    c_library = ctypes.CDLL(None)
    sys.stdout.flush()
    c_library.fflush(None)
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        c_library.fflush(None)
        os.dup2(output, 1)
        os.close(output)
        os.close(nowhere)


def _limits(remaining: Remaining) -> FloatArray:
    """Return the right side of the rows: replicas, negative, and hosts that are limited."""
    scarce = remaining.available[np.isfinite(remaining.available)]
    return np.concatenate((-remaining.replicas.astype(np.float64), scarce))


def _rows(instance: Instance, pool: Pool, remaining: Remaining) -> tuple[Any, IntArray]:
    """Return the matrix of `matrix @ times <= limits`, and the kind of each column.

    Its rows are the items, negative as replicas are wanted, then the kinds that are limited.
    """
    items = len(instance.replicas)
    kinds = np.array(pool.kinds, dtype=np.int64)
    lengths = np.array([len(places) for places in pool.places], dtype=np.int64)
    places = np.concatenate(pool.places)
    counts = np.minimum(np.concatenate(pool.counts), remaining.replicas[places])
    columns = np.repeat(np.arange(len(kinds)), lengths)
    limited = np.flatnonzero(np.isfinite(remaining.available))
    row_of = np.full(len(instance.kinds), -1, dtype=np.int64)
    row_of[limited] = items + np.arange(len(limited))
    bound = np.flatnonzero(row_of[kinds] >= 0)
    # The stubs of linprog know no sparse matrix, which is why it is of any type.
    matrix: Any = coo_array(
        (
            np.concatenate((-counts, np.ones(len(bound), dtype=np.int64))).astype(np.float64),
            (np.concatenate((places, row_of[kinds[bound]])), np.concatenate((columns, bound))),
        ),
        shape=(items + len(limited), len(kinds)),
    )
    matrix = matrix.tocsc()
    matrix.eliminate_zeros()
    return matrix, kinds


def _with_slack(matrix: Any, items: int) -> Any:
    """Return the matrix with a column for each item that stands for replicas left out."""
    whole = matrix.tocoo()
    rows, columns = whole.coords
    slack = np.arange(items)
    return coo_array(
        (
            np.concatenate((whole.data, np.full(items, -1.0))),
            (
                np.concatenate((rows, slack)),
                np.concatenate((columns, whole.shape[1] + slack)),
            ),
        ),
        shape=(whole.shape[0], whole.shape[1] + items),
    )

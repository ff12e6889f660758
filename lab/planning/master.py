"""The restricted master problem: how many hosts take each known pattern (Gilmore, Gomory 1961).

As a linear program it stays with HiGHS: more columns are added, and less is to be carried, and the
simplex goes on from the last basis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import highspy
import numpy as np

from lab.planning import linear_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.instance import FloatArray, Instance, IntArray, Split

_Values = TypeVar("_Values", "FloatArray", "IntArray")
_LARGEST = 1e6  # replicas of an item in a row of the relaxed master, and costs of a whole one
_PRIMAL = 4  # of HiGHS' option simplex_strategy
_OPTIMAL = highspy.HighsModelStatus.kOptimal
_INFEASIBLE = highspy.HighsModelStatus.kInfeasible


class Pool:
    """Columns of the master: patterns, each of a kind of host."""

    def __init__(self, items: int) -> None:
        self._items = items
        self.kinds: list[int] = []
        self.places: list[IntArray] = []
        self.counts: list[IntArray] = []
        self._known: set[tuple[int, bytes, bytes]] = set()

    def __len__(self) -> int:
        return len(self.kinds)

    def add(self, kind: int, counts: IntArray) -> bool:
        """Add a pattern; return False if it is known."""
        places = np.flatnonzero(counts)
        held = counts[places]
        key = (kind, places.tobytes(), held.tobytes())  # as short as the pattern, whatever is left
        if key in self._known:
            return False
        self._known.add(key)
        self.kinds.append(kind)
        self.places.append(places)
        self.counts.append(held)
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
        self.kinds = [self.kinds[row] for row in rows]
        self.places = [self.places[row] for row in rows]
        self.counts = [self.counts[row] for row in rows]
        self._known = {
            (kind, places.tobytes(), counts.tobytes())
            for kind, places, counts in zip(self.kinds, self.places, self.counts, strict=True)
        }


class Relaxed(NamedTuple):
    """An optimum of the relaxed master: hosts for each column, and the dual solution."""

    cost: float
    times: FloatArray
    values: FloatArray
    rents: FloatArray
    parts: tuple[FloatArray, ...] = ()  # of free splits


class Whole(NamedTuple):
    """Whole hosts for each column, None if there are none; final if no others cost less."""

    times: IntArray | None
    is_final: bool
    parts: tuple[IntArray, ...] = ()  # of free splits


class Remaining(NamedTuple):
    """The replicas of each item that are not placed yet, and the hosts of each kind left."""

    replicas: IntArray
    available: FloatArray

    @classmethod
    def all_of(cls, instance: Instance) -> Remaining:
        """Return all that there is at first."""
        return cls(instance.replicas.copy(), instance.available)

    @classmethod
    def most_of(cls, instance: Instance) -> Remaining:
        """Return the most replicas that there may be of each item, in any split."""
        return cls(instance.most.copy(), instance.available)


class Master:
    """The relaxed master: the least cost of what remains, with fractions of hosts.

    With a penalty, replicas may be left out at that price. In phase one hosts are free, and the
    penalty is 1. With `free`, splits divide their replicas anew, and all of them remain.
    """

    def __init__(
        self,
        instance: Instance,
        pool: Pool,
        remaining: Remaining,
        *,
        phase_one: bool = False,
        penalty: float | None = None,
        free: bool = False,
    ) -> None:
        self.instance, self.pool, self.remaining = instance, pool, remaining
        # HiGHS is inexact where a right side has nine digits or more: hosts are counted in lots.
        self._lot = max(1.0, float(remaining.replicas.max(initial=1)) / _LARGEST)
        self._rows = _Rows(instance, remaining, self._lot)
        self._highs = linear_model.of_rows(*self._rows.bounds(remaining))
        # New columns leave the last basis feasible: the primal simplex goes on from there.
        self._highs.setOptionValue("simplex_strategy", _PRIMAL)
        self._known = 0
        self._scale = 1.0 if phase_one else max(1.0, float(instance.prices.max()))
        self._prices = np.zeros(len(instance.kinds)) if phase_one else instance.prices
        self._left_out = 0
        if phase_one or penalty is not None:
            self._left_out = items = len(instance.replicas)
            costs = np.full(items, 1.0 if penalty is None else penalty / self._scale)
            _add_columns(self._highs, costs, np.arange(items), np.arange(items), np.ones(items))
        self._splits = instance.splits if free else ()
        if self._splits:
            _free_splits(self._highs, instance, self._lot)

    @property
    def may_leave_out(self) -> bool:
        """True if replicas may be left out."""
        return self._left_out > 0

    def solve(self, seconds: float) -> Relaxed | None:
        """Return the optimum, None if there is none or time is over."""
        if seconds <= 0 or not len(self.pool):
            return None
        kinds, starts, rows, entries = self._rows.columns(self.pool, self.remaining, self._known)
        _add_columns(self._highs, self._prices[kinds] / self._scale, starts, rows, entries)
        self._known = len(self.pool)
        self._highs.setOptionValue("time_limit", seconds)
        self._highs.run()
        if self._highs.getModelStatus() != _OPTIMAL:
            return None
        solution, items = self._highs.getSolution(), len(self.instance.replicas)
        duals = np.array(solution.row_dual, dtype=np.float64) * self._scale
        rents = np.zeros(len(self.instance.kinds))
        scarce = len(self._rows.limited)
        rents[self._rows.limited] = np.maximum(-duals[items : items + scarce], 0.0)
        times = np.array(solution.col_value, dtype=np.float64)[self._left_out :] * self._lot
        parts, times = _parts_of(times, self._splits)
        cost = float(self._highs.getInfo().objective_function_value) * self._scale * self._lot
        values = np.maximum(duals[:items], 0.0)
        return Relaxed(cost, np.maximum(times, 0.0), values, rents, parts)

    def reduce(self, remaining: Remaining) -> None:
        """Carry only this from now on. Columns that carry more of an item are not cut."""
        self.remaining = remaining
        lower, upper = self._rows.bounds(remaining)
        places = np.arange(len(lower), dtype=np.int32)
        self._highs.changeRowsBounds(len(places), places, lower, upper)


def fill_whole(
    instance: Instance,
    pool: Pool,
    remaining: Remaining,
    seconds: float,
    below: int | None = None,
    *,
    free: bool = False,
) -> Whole:
    """Return whole numbers of hosts for the columns at the least cost found, by HiGHS.

    With `below`, only a cost below it is looked for; what differs by less than a millionth of the
    dearest host counts as equal. With `free`, splits divide their replicas anew, and all of them
    remain. Over a million replicas of an item are left to dives: HiGHS then exceeds its time.
    """
    if not len(pool):
        return Whole(None, is_final=True)
    if seconds <= 0 or remaining.replicas.max(initial=0) > _LARGEST:
        return Whole(None, is_final=False)
    rows = _Rows(instance, remaining)
    highs = linear_model.of_rows(*rows.bounds(remaining))
    splits = instance.splits if free else ()
    if splits:
        _free_splits(highs, instance, 1.0)
    first = highs.getNumCol()
    kinds, starts, places, entries = rows.columns(pool, remaining, 0)
    # Prices of many digits are counted in larger steps: HiGHS is inexact with large figures.
    step = max(instance.price_step, float(instance.prices.max()) / _LARGEST)
    costs = instance.prices[kinds] / step
    _add_columns(highs, costs, starts, places, entries)
    every = np.arange(first + len(kinds), dtype=np.int32)
    whole = np.full(len(every), highspy.HighsVarType.kInteger)
    highs.changeColsIntegrality(len(every), every, whole)
    if below is not None:
        highs.addRow(-np.inf, below / step - 1, len(kinds), every[first:], costs)
    highs.setOptionValue("time_limit", seconds)
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.99)  # costs are whole steps
    highs.run()
    is_final = highs.getModelStatus() in {_OPTIMAL, _INFEASIBLE}
    if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return Whole(None, is_final)
    found = np.rint(np.array(highs.getSolution().col_value)).astype(np.int64)
    parts, times = _parts_of(found, splits)
    return Whole(times, is_final, parts)


class _Rows:
    """The rows of the master: items, then the kinds of host that are limited in number."""

    def __init__(self, instance: Instance, remaining: Remaining, lot: float = 1.0) -> None:
        self.lot = lot
        self.limited = np.flatnonzero(np.isfinite(remaining.available))
        self._of_kind = np.full(len(instance.kinds), -1, dtype=np.int64)
        self._of_kind[self.limited] = len(instance.replicas) + np.arange(len(self.limited))

    def bounds(self, remaining: Remaining) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper bound of each row."""
        wanted = np.where(remaining.replicas > 0, remaining.replicas / self.lot, -np.inf)
        scarce = remaining.available[self.limited] / self.lot
        return (
            np.concatenate((wanted, np.full(len(scarce), -np.inf))),
            np.concatenate((np.full(len(wanted), np.inf), scarce)),
        )

    def columns(
        self, pool: Pool, remaining: Remaining, first: int
    ) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
        """Return kinds, starts, rows and entries of the pool's columns from the first on.

        They are cut to what remains.
        """
        kinds = np.array(pool.kinds[first:], dtype=np.int64)
        own_rows = self._of_kind[kinds]
        rows: list[IntArray] = []
        entries: list[IntArray] = []
        starts = np.zeros(len(kinds), dtype=np.int64)
        total = 0
        one = np.ones(1, dtype=np.int64)
        new = zip(pool.places[first:], pool.counts[first:], own_rows, strict=True)
        for column, (places, counts, own) in enumerate(new):
            starts[column] = total
            rows.append(places)
            entries.append(np.minimum(counts, remaining.replicas[places]))
            total += len(places)
            if own >= 0:
                rows.append(own[None])
                entries.append(one)
                total += 1
        if not rows:
            return kinds, starts, starts, np.zeros(0)
        return kinds, starts, np.concatenate(rows), np.concatenate(entries).astype(np.float64)


def _free_splits(highs: Any, instance: Instance, lot: float) -> None:
    """Add a variable for each part of a split, and the least of them all, to a model of items.

    Replicas are counted in lots. The variables come before those of the pool's columns.
    """
    items = len(instance.replicas)
    places = np.arange(items, dtype=np.int32)
    highs.changeRowsBounds(items, places, instance.fixed / lot, np.full(items, np.inf))
    nothing = np.zeros(0, dtype=np.int32)
    for split in instance.splits:
        first, number = highs.getNumRow(), len(split.items)
        own = first + np.arange(number + 1)  # of each part, above the least; then of the sum
        lower = np.zeros(number + 1)
        upper = np.full(number + 1, split.skew / lot)
        lower[-1] = upper[-1] = split.total / lot
        starts = np.zeros(number + 1, dtype=np.int32)
        highs.addRows(number + 1, lower, upper, 0, starts, nothing, np.zeros(0))
        rows = np.column_stack((split.items, own[:-1], np.full(number, own[-1]))).ravel()
        entries = np.tile([-1.0, 1.0, 1.0], number)
        _add_columns(
            highs,
            np.zeros(number + 1),
            3 * np.arange(number + 1),
            np.concatenate((rows, own[:-1])),
            np.concatenate((entries, np.full(number, -1.0))),
        )


def _parts_of(values: _Values, splits: Sequence[Split]) -> tuple[tuple[_Values, ...], _Values]:
    """Return the parts of each split that `_free_splits` added, and the values of the rest."""
    parts = []
    for split in splits:
        parts.append(values[: len(split.items)])
        values = values[len(split.items) + 1 :]
    return tuple(parts), values


def _add_columns(
    highs: Any, costs: FloatArray, starts: IntArray, rows: IntArray, entries: FloatArray
) -> None:
    """Add columns of any number of hosts."""
    number = len(costs)
    highs.addCols(
        number,
        costs,
        np.zeros(number),
        np.full(number, np.inf),
        len(entries),
        starts.astype(np.int32),
        rows.astype(np.int32),
        entries,
    )

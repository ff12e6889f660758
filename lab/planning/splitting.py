"""Splits of replicas over failure domains that the relaxed master suggests.

The search packs replicas that are split already, at first evenly. Where another split may be
cheaper, the relaxed master shows it: its fractions of replicas are rounded to a split within the
skew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.instance import FloatArray, IntArray
    from lab.planning.problem import Problem


def split_anew(problem: Problem, parts: Sequence[FloatArray | IntArray]) -> Problem:
    """Return the problem with its replicas split nearly so; the same if they are.

    `parts` has the replicas of each part of the splits that leave a choice.
    """
    replicas = {demand.name: demand.replicas for demand in problem.demands}
    choices = iter(parts)
    for split in problem.splits:
        total = sum(replicas[part] for part in split.parts)
        wanted = next(choices, None) if total and len(split.parts) > 1 else None
        if wanted is not None:
            rounded = round_within(wanted, total, split.max_skew).tolist()
            replicas |= zip(split.parts, rounded, strict=True)
    demands = tuple(
        demand if replicas[demand.name] == demand.replicas
        else replace(demand, replicas=replicas[demand.name])
        for demand in problem.demands
    )  # fmt: skip
    return problem if demands == problem.demands else replace(problem, demands=demands)


def round_within(wanted: FloatArray | IntArray, total: int, skew: int) -> IntArray:
    """Return whole numbers with that sum and at most that skew, near those that are wanted."""
    rounded = np.floor(wanted + 1e-6).astype(np.int64)
    order = np.argsort(rounded - wanted, kind="stable")  # what lost most comes first
    for place in range(max(0, total - int(rounded.sum()))):
        rounded[order[place % len(order)]] += 1
    while rounded.sum() > total or rounded.max() - rounded.min() > skew:
        rounded[rounded.argmax()] -= 1
        if rounded.sum() < total:
            rounded[rounded.argmin()] += 1
    return rounded

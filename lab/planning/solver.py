"""The exact solver: the cheapest hosts for all demands, with a proven lower bound.

    instance ── merge equal demands
    relaxation ── a first bound, without patterns
    construction ── plans by rules of thumb
    column_generation ── the bound of all patterns
    rounding ── dives and integer programs
    bound ── the certificate

Each stage ends as soon as the cost is the bound, rounded up. Cost and bound depend on the number of
different demands, not on that of replicas.
"""

from __future__ import annotations

from math import ceil, inf
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import InvalidConfig
from lab.planning.bound import Bound, certify, farley_bound
from lab.planning.column_generation import add_packing, generate, is_enough
from lab.planning.construction import RULES, construct, construct_by_search
from lab.planning.incumbent import Incumbent
from lab.planning.instance import make_instance, split_members
from lab.planning.master import Pool, Remaining
from lab.planning.relaxation import Worths, resource_worths
from lab.planning.rounding import dive, solve_all_sets, solve_whole
from lab.planning.solution import Solution

if TYPE_CHECKING:
    from lab.planning.instance import Instance
    from lab.planning.problem import Problem

DEADLINE_SECONDS = 60.0
_DIVES = 6
_NAMES = 4  # of kinds, which a sentence lists at most
_DRAWS = 40  # of an emphasis on some resources
_WHOLE_SECONDS = 10.0
_SHARE_OF_RULES = 0.1  # of the time, which rules may take at first
_SHARE = 0.5  # of the time that is left, which column generation may take


def solve(
    problem: Problem, *, deadline_seconds: float = DEADLINE_SECONDS, seed: int = 0
) -> Solution:
    """Return the cheapest hosts that carry all demands, or the best found before the deadline.

    Raise InvalidConfig if a figure is unusable, a demand fits on no host, or too few hosts are
    available.
    """
    until = monotonic() + deadline_seconds
    instance = make_instance(problem)
    if not len(instance.replicas):
        nothing = np.zeros(0)
        weights = np.ones((len(instance.kinds), len(problem.resources)))
        bound = Bound(0.0, nothing, np.zeros(len(instance.kinds)), weights, 0.0)
        return Solution((), 0, 0, certify(problem, instance, bound)[0], timed_out=False)
    worths = resource_worths(instance)
    bound = farley_bound(instance, worths.values, worths.weights.sum(axis=1), worths.weights)
    if bound.cost == inf:
        raise InvalidConfig(_scarcity(instance, bound))
    incumbent = Incumbent(instance, bound, until)
    _search(incumbent, worths, seed)
    if incumbent.packing is None or incumbent.cost is None:
        raise InvalidConfig(_nothing_found(incumbent, deadline_seconds))
    certificate, proven = certify(problem, instance, incumbent.bound)
    timed_out = incumbent.seconds_left <= 0 and proven < incumbent.cost
    patterns = split_members(problem, instance, incumbent.packing)
    return Solution(patterns, incumbent.cost, proven, certificate, timed_out)


def _search(incumbent: Incumbent, worths: Worths, seed: int) -> None:
    """Improve packing and bound until they meet, or all has been tried, or the time is over."""
    instance, pool = incumbent.instance, Pool(len(incumbent.instance.replicas))
    everything = Remaining.all_of(instance)
    soon = monotonic() + _SHARE_OF_RULES * incumbent.seconds_left
    for number, rule in enumerate(RULES):
        # The first plan is made whatever the deadline is.
        until = soon if number else monotonic() + DEADLINE_SECONDS
        packing = construct(instance, worths, rule, everything, until)
        incumbent.offer(packing)
        add_packing(pool, packing)
        if incumbent.is_optimal:
            return
    packing = construct_by_search(instance, worths, everything, soon)
    incumbent.offer(packing)
    add_packing(pool, packing)
    if incumbent.is_optimal:
        return
    _add_single_items(instance, pool)
    generate(incumbent, pool, monotonic() + _SHARE * incumbent.seconds_left)
    _improve(incumbent, pool, seed)


def _improve(incumbent: Incumbent, pool: Pool, seed: int) -> None:
    """Look for cheaper packings among the columns, and beside them."""
    instance = incumbent.instance
    chance = np.random.default_rng(seed)
    for number in range(_DIVES):
        if incumbent.is_optimal or incumbent.seconds_left <= 0:
            return
        packing = dive(incumbent, pool, chance if number else None)
        incumbent.offer(packing)
        add_packing(pool, packing)
        if incumbent.packing is None and (scarce := is_enough(incumbent, pool)) is not None:
            raise InvalidConfig(_scarcity(instance, scarce))
        if number == 0 and not incumbent.is_optimal:
            generate(incumbent, pool, monotonic() + _SHARE * incumbent.seconds_left)
            solve_all_sets(incumbent, _WHOLE_SECONDS)
            bound = incumbent.bound
            worths = Worths(bound.scale * bound.values, bound.weights)
            everything = Remaining.all_of(instance)
            packing = construct_by_search(instance, worths, everything, incumbent.until)
            incumbent.offer(packing)
            add_packing(pool, packing)
            _draw(incumbent, pool, worths, chance)
    if not incumbent.is_optimal:
        incumbent.offer(solve_whole(incumbent, pool, _WHOLE_SECONDS))


def _draw(incumbent: Incumbent, pool: Pool, worths: Worths, chance: np.random.Generator) -> None:
    """Build plans by rules with an emphasis on resources drawn at random."""
    instance = incumbent.instance
    everything = Remaining.all_of(instance)
    rules = [rule for rule in RULES if not rule.fixed]
    for number in range(_DRAWS):
        if incumbent.is_optimal:
            return
        emphasis = np.exp(chance.normal(0, 0.5, instance.sizes.shape[1]))
        rule = rules[number % len(rules)]
        packing = construct(instance, worths, rule, everything, incumbent.until, emphasis)
        incumbent.offer(packing)
        add_packing(pool, packing)


def _add_single_items(instance: Instance, pool: Pool) -> None:
    """Add hosts that carry a single item, so that the master always has a column for each."""
    for place, kind in enumerate(instance.kinds):
        for item in np.flatnonzero(kind.limits).tolist():
            counts = np.zeros(len(instance.replicas), dtype=np.int64)
            counts[item] = kind.limits[item]
            pool.add(place, counts)


def _nothing_found(incumbent: Incumbent, deadline_seconds: float) -> str:
    """Return the sentence that there is no plan, or that none was found."""
    kinds = [kind.name for kind in incumbent.instance.kinds if kind.available is not None]
    if incumbent.is_final:
        return f"Too few hosts of {_listed(kinds)}: no plan with those available is possible."
    return (
        f"No plan was found within {deadline_seconds:g} s: make more hosts of"
        f" {_listed(kinds)} available, or allow more time."
    )


def _scarcity(instance: Instance, bound: Bound) -> str:
    """Return the sentence that names the kinds of host of which too few are available."""
    scarce = [
        place
        for place, kind in enumerate(instance.kinds)
        if kind.available and bound.uppers[place] > 0
    ]
    worth = float(bound.values @ instance.replicas)
    if len(scarce) == 1:
        kind = instance.kinds[scarce[0]]
        needed = max((kind.available or 0) + 1, ceil(worth / bound.uppers[scarce[0]] - 1e-6))
        return (
            f"Too few hosts of {kind.name}: at least {needed:,} are needed,"
            f" and {kind.available:,} are available."
        )
    carried = sum(
        (instance.kinds[place].available or 0) * float(bound.uppers[place]) for place in scarce
    )
    names = _listed([instance.kinds[place].name for place in scarce])
    return (
        f"Too few hosts of {names}: all that are available carry at most {carried / worth:.1%} of"
        " the replicas that can run nowhere else."
    )


def _listed(names: list[str]) -> str:
    """Return the names, or the first few and the number of the others."""
    if len(names) > _NAMES:
        names = [*names[: _NAMES - 1], f"{len(names) - _NAMES + 1} more kinds"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

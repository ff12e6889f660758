"""The exact solver: the cheapest hosts for all demands, with a proven lower bound.

    dominance ── kinds of hosts that no cheapest plan needs
    instance ── merge equal demands
    relaxation ── a first bound, without patterns
    construction ── plans by rules of thumb
    exchange ── moves and swaps on one host less
    column_generation ── the bound of all patterns
    rounding ── dives and integer programs
    bound ── the certificate

Each stage ends as soon as the cost is the bound, rounded up. Cost and bound depend on the number of
different demands, not on that of replicas.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import InvalidConfig
from lab.planning.bound import Bound, certify, farley_bound
from lab.planning.column_generation import add_packing, generate, is_enough
from lab.planning.construction import RULES, carries_all, construct_by_search, fill_hosts
from lab.planning.dominance import without_dominated
from lab.planning.exchange import exchange
from lab.planning.incumbent import Incumbent
from lab.planning.instance import check_figures, make_instance, split_members
from lab.planning.master import Pool, Remaining
from lab.planning.problem import price_step
from lab.planning.relaxation import Worths, resource_worths
from lab.planning.rounding import dive, solve_all_sets, solve_splits, solve_whole
from lab.planning.solution import Solution
from lab.planning.splitting import split_anew

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.instance import FloatArray, Instance, IntArray
    from lab.planning.problem import Problem

DEADLINE_SECONDS = 60.0
_DIVES = 6
_SPLITS = 4  # of replicas over failure domains that are tried
_SHARE_OF_SPLIT = 0.5  # of the time left, which each of them gets
_SHARE_OF_PROGRAM = 0.1  # of the time left, which an integer program with free splits gets
_NAMES = 4  # of kinds, which a sentence lists at most
_DRAWS = 40  # of an emphasis on some resources
_WHOLE_SECONDS = 10.0
_FIRST_PLAN_SECONDS = 2.0  # that the search for a first plan may take, whatever the deadline is
_MANY_ON_A_HOST = 3  # replicas in the mean, from which on exchange serves before patterns do
_SHARE_OF_RELAXATION = 0.5  # of the time, which the bound without patterns may take
_SHARE_OF_RULES = 0.06  # of the time, which rules may take at first
_SHARE_OF_EXCHANGE = 0.1  # of the time, which exchange may take at first
_SHARE_AT_FIRST = 0.6  # of the time, which column generation may take at first
_LACKING_HOSTS = 2.0  # which the bound may lack before the first dive, as many as dives lose
_LACKING = 2e-3  # of the cost, which it may lack then at most
_SHARE = 0.5  # of the time that is left, which column generation may take again


def solve(
    problem: Problem, *, deadline_seconds: float = DEADLINE_SECONDS, seed: int = 0
) -> Solution:
    """Return the cheapest hosts that carry all demands, or the best found before the deadline.

    Raise InvalidConfig if a figure is unusable, a demand fits on no host, or too few hosts are
    available.
    """
    until = monotonic() + deadline_seconds
    check_figures(problem)
    step = price_step(problem)  # with all kinds, as the check has it
    problem, _ = reduced = without_dominated(problem)
    instance = replace(make_instance(problem), price_step=step)
    if not len(instance.replicas):
        nothing = np.zeros(0)
        weights = np.ones((len(instance.kinds), len(problem.resources)))
        bound = Bound(0.0, nothing, np.zeros(len(instance.kinds)), weights, 0.0)
        certificate = reduced.restore(certify(problem, instance, bound)[0])
        return Solution((), 0, 0, certificate, timed_out=False)
    worths = resource_worths(instance, _SHARE_OF_RELAXATION * (until - monotonic()))
    bound = farley_bound(instance, worths.values, worths.weights.sum(axis=1), worths.weights)
    if bound.cost == inf:
        raise InvalidConfig(_scarcity(instance, bound))
    incumbent = Incumbent(instance, bound, until)
    problem, incumbent = _search_splits(problem, incumbent, worths, seed)
    if incumbent.packing is None or incumbent.cost is None:
        raise InvalidConfig(_nothing_found(incumbent, deadline_seconds))
    certificate, proven = certify(problem, incumbent.instance, incumbent.bound)
    timed_out = incumbent.seconds_left <= 0 and proven < incumbent.cost
    patterns = split_members(problem, incumbent.instance, incumbent.packing)
    certificate = reduced.restore(certificate)
    return Solution(patterns, incumbent.cost, proven, certificate, timed_out)


def _search_splits(
    problem: Problem, incumbent: Incumbent, worths: Worths, seed: int
) -> tuple[Problem, Incumbent]:
    """Search with replicas split as in the problem, then as worths and the master suggest.

    Return the best search, and the problem with its split.
    """
    pool = Pool(len(incumbent.instance.replicas))  # of the patterns for all splits
    if not incumbent.instance.splits:
        _search(incumbent, pool, worths, seed)
        return problem, incumbent
    until, best = incumbent.until, (problem, incumbent)
    tried: list[Problem] = []
    while True:
        tried.append(problem)
        incumbent.until = monotonic() + _SHARE_OF_SPLIT * (until - monotonic())
        _search(incumbent, pool, worths, seed)
        incumbent.until = until
        best_cost, bound = best[1].cost, incumbent.bound
        if incumbent.cost is not None and (best_cost is None or incumbent.cost < best_cost):
            best = problem, incumbent
        best[1].raise_bound(bound)
        cheapest = tuple(split.cheapest(bound.values) for split in incumbent.instance.splits)
        splits = [_resplit(best, parts) for parts in (incumbent.parts, cheapest)]
        seconds = min(_WHOLE_SECONDS, _SHARE_OF_PROGRAM * best[1].seconds_left)
        if not best[1].is_optimal and (found := solve_splits(best[1], pool, seconds)):
            best = _resplit(best, found.parts)
            best[1].offer(found.packing)
            splits.insert(0, best)
        untried = [each for each in splits if each[0] not in tried]
        if best[1].is_optimal or not untried or len(tried) == _SPLITS or monotonic() > until:
            return best
        problem, incumbent = untried[0]


def _resplit(
    search: tuple[Problem, Incumbent], parts: Sequence[FloatArray | IntArray]
) -> tuple[Problem, Incumbent]:
    """Return the problem with its replicas split nearly so, and its search, with that bound."""
    problem, incumbent = split_anew(search[0], parts), search[1]
    instance = replace(make_instance(problem), price_step=incumbent.instance.price_step)
    return problem, Incumbent(instance, incumbent.bound, incumbent.until)


def _search(incumbent: Incumbent, pool: Pool, worths: Worths, seed: int) -> None:
    """Improve packing and bound until they meet, or all has been tried, or the time is over.

    Columns that are found are added to the pool.
    """
    instance = incumbent.instance
    everything = Remaining.all_of(instance)
    soon = monotonic() + _SHARE_OF_RULES * incumbent.seconds_left
    for number, rule in enumerate(RULES):
        # The first plan is made whatever the deadline is.
        until = soon if number else monotonic() + DEADLINE_SECONDS
        filled = fill_hosts(instance, worths, rule, everything, until)
        if carries_all(filled, everything):
            incumbent.offer(filled)
        add_packing(pool, filled)
        if incumbent.is_optimal:
            return
    chance = np.random.default_rng(seed)
    if incumbent.cost is None:
        _draw(incumbent, pool, worths, soon, chance, monotonic() + _FIRST_PLAN_SECONDS)
    packing = construct_by_search(instance, worths, everything, soon)
    incumbent.offer(packing)
    add_packing(pool, packing)
    if _has_many_on_a_host(incumbent):
        exchange(incumbent, monotonic() + _SHARE_OF_EXCHANGE * incumbent.seconds_left, chance)
        add_packing(pool, incumbent.packing)
    if incumbent.is_optimal:
        return
    _add_single_items(instance, pool)
    lacking = min(_LACKING_HOSTS * float(instance.prices.min()), _LACKING * incumbent.bound.cost)
    generate(incumbent, pool, monotonic() + _SHARE_AT_FIRST * incumbent.seconds_left, lacking)
    _improve(incumbent, pool, chance)


def _improve(incumbent: Incumbent, pool: Pool, chance: np.random.Generator) -> None:
    """Look for cheaper packings among the columns, and beside them."""
    instance = incumbent.instance
    for number in range(_DIVES):
        if incumbent.is_optimal or incumbent.seconds_left <= 0:
            return
        if number:
            generate(incumbent, pool, monotonic() + _SHARE * incumbent.seconds_left)
        packing = dive(incumbent, pool, chance if number else None)
        incumbent.offer(packing)
        add_packing(pool, packing)
        if incumbent.packing is None and (scarce := is_enough(incumbent, pool)) is not None:
            raise InvalidConfig(_scarcity(instance, scarce))
        if number == 0 and not incumbent.is_optimal:
            generate(incumbent, pool, monotonic() + _SHARE * incumbent.seconds_left)
            solve_all_sets(incumbent, _WHOLE_SECONDS)
            _try_rules_again(incumbent, pool, chance)
            share = _SHARE if _has_many_on_a_host(incumbent) else _SHARE_OF_EXCHANGE
            exchange(incumbent, monotonic() + share * incumbent.seconds_left, chance)
    if not incumbent.is_optimal:
        incumbent.offer(solve_whole(incumbent, pool, _WHOLE_SECONDS))
    exchange(incumbent, incumbent.until, chance)


def _has_many_on_a_host(incumbent: Incumbent) -> bool:
    """Return True if the best plan carries some replicas on a host, in the mean."""
    hosts = sum(filled.times for filled in incumbent.packing or ())
    return 0 < _MANY_ON_A_HOST * hosts <= int(incumbent.instance.replicas.sum())


def _try_rules_again(incumbent: Incumbent, pool: Pool, chance: np.random.Generator) -> None:
    """Build plans by the worths of all patterns, while this takes little of the time."""
    bound = incumbent.bound
    worths = Worths(bound.scale * bound.values, bound.weights)
    until = monotonic() + _SHARE_OF_RULES * incumbent.seconds_left
    everything = Remaining.all_of(incumbent.instance)
    packing = construct_by_search(incumbent.instance, worths, everything, until)
    incumbent.offer(packing)
    add_packing(pool, packing)
    _draw(incumbent, pool, worths, until, chance)


def _draw(
    incumbent: Incumbent,
    pool: Pool,
    worths: Worths,
    until: float,
    chance: np.random.Generator,
    first_until: float = 0.0,
) -> None:
    """Build plans by rules with an emphasis on resources drawn at random.

    The first plan may take longer than the others.
    """
    instance = incumbent.instance
    everything = Remaining.all_of(instance)
    rules = [rule for rule in RULES if not rule.fixed]
    for number in range(_DRAWS):
        latest = until if incumbent.cost else max(until, first_until)
        if incumbent.is_optimal or monotonic() > latest:
            return
        emphasis = np.exp(chance.normal(0, 0.5, instance.sizes.shape[1]))
        rule = rules[number % len(rules)]
        filled = fill_hosts(instance, worths, rule, everything, latest, emphasis)
        add_packing(pool, filled)
        if carries_all(filled, everything):
            incumbent.offer(filled)


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
    worth = instance.worth(bound.values)
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

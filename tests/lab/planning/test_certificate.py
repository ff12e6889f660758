"""The check of certificates: sound, and strict with each field."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.errors import InvalidConfig
from lab.planning.certificate import check
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.solution import to_document
from lab.planning.solver import solve

if TYPE_CHECKING:
    from collections.abc import Callable

PROBLEM = Problem(
    ("cpus", "memory"),
    (
        Demand("web", 5, (3, 2), per_host=2),
        Demand("db", 2, (5, 9), apart_from=frozenset({"web"})),
        Demand("job", 7, (2, 2), hosts=frozenset({"small"})),
    ),
    (HostKind("small", (8, 9), 3, 3), HostKind("large", (16, 20), 7)),
)
DOCUMENT = to_document(PROBLEM, solve(PROBLEM))


def test_a_document_survives_json_and_is_accepted() -> None:
    assert check(PROBLEM, json.loads(json.dumps(DOCUMENT))) == DOCUMENT["bound"]


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return change


def _first_replicas(change: Callable[[dict[str, int]], None]) -> Callable[[Any], None]:
    return lambda document: change(document["patterns"][0]["replicas"])


@pytest.mark.parametrize(
    ("corrupt", "field"),
    [
        (_set("cost", to=1), "cost"),
        (_set("bound", to=10**6), "bound"),
        (_set("bound", to=0), "bound"),
        (_set("patterns", to=[]), "patterns"),
        (_set("patterns", 0, "host", to="unknown"), "patterns"),
        (_set("patterns", 0, "times", to=0), "patterns"),
        (_set("patterns", 0, "times", to=1.5), "patterns"),
        (_set("patterns", 0, "times", to=10**6), "patterns"),
        (_first_replicas(lambda counts: counts.update(web=3)), "patterns"),
        (_first_replicas(lambda counts: counts.update(web=-1)), "patterns"),
        (_first_replicas(lambda counts: counts.update(unknown=1)), "patterns"),
        (_first_replicas(dict.clear), "patterns"),
        (_set("replica_prices", "web", to="-1"), "replica_prices"),
        (_set("replica_prices", "web", to="100"), "replica_prices"),
        (_set("replica_prices", "db", to="0"), "bound"),
        (_set("replica_prices", to={}), "malformed"),
        (_set("replica_prices", "web", to="1/0"), "malformed"),
        (_set("replica_prices", "web", to="one"), "malformed"),
        (_set("replica_prices", "web", to=float("nan")), "malformed"),
        (_set("host_rents", "large", to="1"), "host_rents"),
        (_set("host_rents", "small", to="-1"), "host_rents"),
        (_set("host_rents", "small", to="1000"), "bound"),
        (_set("resource_prices", "small", to=["1"]), "resource_prices"),
        (_set("resource_prices", "small", to=["1", "-1"]), "resource_prices"),
        (_set("resource_prices", "small", to=["1", "one"]), "malformed"),
        (_set("resource_prices", to=None), "malformed"),
    ],
)
def test_a_corrupt_field_is_refused(corrupt: Callable[[Any], None], field: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    corrupt(document)
    with pytest.raises(InvalidConfig, match=field):
        check(PROBLEM, document)


@pytest.mark.parametrize("field", sorted(DOCUMENT))
def test_a_missing_field_is_refused(field: str) -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != field}
    with pytest.raises(InvalidConfig, match=field):
        check(PROBLEM, document)


def test_a_plan_of_another_problem_is_refused() -> None:
    other = Problem(PROBLEM.resources, PROBLEM.demands, (HostKind("small", (8, 9), 3, 3),))
    with pytest.raises(InvalidConfig, match="large is no host"):
        check(other, DOCUMENT)

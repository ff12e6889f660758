"""A plan as JSON and CSV, and its proof read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InvalidConfig
from lab.planning import certificate
from lab.planning.inventory import CPUS, MEMORY_BYTES
from lab.planning.plan import make_plan
from lab.planning.plan_document import csv_text, document, read_proof
from tests.lab.planning.planned import (
    GIB,
    HOSTS,
    PROBLEM,
    SERVICES,
    plan,
    plan_file,
    uncertain,
)


def test_the_document_has_what_the_text_has() -> None:
    found = document(plan_file(uncertain(emulated=True), notes=("Emulated.",)), plan(bound=1))
    assert found["plan"] == {
        "file": "plan.toml",
        "finding": "2 hosts; at least 1 (gap 100 %).",
        "objective": "hosts",
        "hosts": 2,
        "price": 100.0,
        "currency": "EUR",
        "cost": 2.0,
        "price_step": 1.0,
        "bound": 1.0,
        "fractional_bound": 1.5,
        "gap": 1.0,
        "optimal": False,
        "timed_out": False,
        "binding": "CPU binds: 75 % of it is used, of memory 68.8 %.",
        "emulated": True,
        "remarks": ["Emulated."],
    }
    assert found["resources"][0] == {
        "resource": CPUS,
        "capacity": 8.0,
        "used": 6.0,
        "used_share": 0.75,
        "stranded": 1.0,
        "stranded_share": 0.125,
    }
    assert found["hosts"][1] == {
        "host": "node",
        "hosts": 1,
        "services": {"web": 2, "db": 1},
        "free": {CPUS: 1.0, MEMORY_BYTES: 0.0},
        "stranded": {CPUS: 1.0, MEMORY_BYTES: 0.0},
    }
    web, database = found["services"]
    assert web == {
        "name": "web",
        "replicas": 5,
        "requests": {CPUS: 1.0, MEMORY_BYTES: 1.0 * GIB},
        "measured": [],
    }
    assert database["measured"][0]["figure"] == ("a-run/vm density memory-per-instance-available")


def test_further_findings_are_keys_of_their_own() -> None:
    found = document(plan_file(), plan(), {"draws": {"holds": 0.97}})
    assert found["draws"] == {"holds": 0.97}


def test_csv_has_a_line_for_each_service_of_a_pattern() -> None:
    assert csv_text(plan_file(notes=("Emulated, all.",)), plan()).splitlines() == [
        "pattern,host,hosts,service,replicas_on_each,remarks",
        '1,node,1,web,3,"Emulated, all."',
        '2,node,1,web,2,"Emulated, all."',
        '2,node,1,db,1,"Emulated, all."',
    ]


def test_a_plan_is_checked_from_its_document(tmp_path: Path) -> None:
    made = make_plan(SERVICES, HOSTS)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document(plan_file(), made)))
    proof = read_proof(path)
    assert proof.problem == PROBLEM
    assert proof.price_step == 1.0
    assert certificate.check(proof.problem, proof.solution) == 2
    proof.solution["bound"] = 3
    with pytest.raises(InvalidConfig, match="bound"):
        certificate.check(proof.problem, proof.solution)


def test_the_same_plan_gives_the_same_document() -> None:
    texts = {json.dumps(document(plan_file(), make_plan(SERVICES, HOSTS))) for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"problem": None}, "is no plan: problem: Expected `object`, got `null`"),
        ({"solution": None}, "is no plan: it lacks problem or solution"),
        ({"problem.demands.0.size": [1]}, "each demand and each host needs an amount for each"),
        ({"problem.demands.0.size": [1, -1]}, "is no plan: problem: an amount is negative."),
        ({"problem.demands.0.per_host": 0}, "is no plan: problem: an amount is negative."),
        ({"problem.demands.0.name": "db"}, "is no plan: problem: a name is given twice."),
        ({"problem.demands.0.apart_from": ["x"]}, "is no plan: problem: x is no demand."),
        ({"problem.splits": [{"parts": ["x"], "max_skew": 1}]}, "problem: x is no demand."),
        ({"problem.splits": [{"parts": [], "max_skew": 1}]}, "problem: a split has no parts."),
        ({"problem.splits": [{"parts": ["web"], "max_skew": -1}]}, "an amount is negative."),
        ({"solution.resource_prices.node": ["1e99999999"]}, "resource_prices: node has no fract"),
        ({"problem.demands.0.replicas": "5"}, "is no plan: problem: Expected `int`, got `str`"),
        ({"solution.replica_prices": None}, "is no plan: solution: replica_prices is missing."),
        ({"solution.replica_prices.web": "1e99999999"}, "replica_prices: web has no fraction."),
        ({"solution.host_rents.node": 0.5}, "is no plan: solution: host_rents: node has no frac"),
    ],
)
def test_what_is_no_plan_is_one_sentence(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    found = json.loads(json.dumps(document(plan_file(), plan())))
    for place, value in change.items():
        *above, last = place.split(".")
        table = found
        for key in above:
            table = table[int(key) if key.isdigit() else key]
        table[last] = value
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(found))
    with pytest.raises(InvalidConfig) as raised:
        read_proof(path)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"problem": {}}', "nul\0"])
def test_what_is_no_document_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=r"plan\.json is (no plan|not valid JSON)"):
        read_proof(path)


def test_a_missing_document_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="can't be read: No such file or directory"):
        read_proof(tmp_path / "plan.json")

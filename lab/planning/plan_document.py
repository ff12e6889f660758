"""A plan as JSON and as CSV, and the proof that is read back from the JSON.

The JSON document holds the problem in integers and its solution, so that the bound can be checked
without the plan file or the solver.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from lab.errors import InvalidConfig
from lab.planning.headline import headline, remarks
from lab.planning.problem import Problem
from lab.planning.solution import to_document
from lab.planning.usage import binding, content, free_amounts, resource_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile
    from lab.planning.wrapping import Uncertain

CSV_COLUMNS = ("pattern", "host", "hosts", "service", "replicas_on_each", "remarks")
_FRACTION = re.compile(r"-?[0-9]{1,2000}(/[0-9]{1,2000})?")


@dataclass(frozen=True, slots=True)
class Proof:
    """The problem in integers and its solution's document. A price of 1 stands for `price_step`."""

    problem: Problem
    solution: dict[str, Any]
    price_step: float


def document(
    file: PlanFile, plan: Plan, further: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the plan as a JSON document; `further` has what may change it, by key."""
    frees = free_amounts(plan)
    uses = resource_use(plan, frees)
    resources = plan.problem.resources
    return {
        "plan": {
            "file": file.path.name,
            "finding": headline(plan, file.currency),
            "objective": plan.objective,
            "hosts": plan.host_count,
            "price": plan.price,
            "currency": file.currency,
            "cost": plan.cost,
            "price_step": float(plan.price_step),
            "bound": plan.bound,
            "fractional_bound": plan.fractional_bound,
            "gap": plan.solution.gap,
            "optimal": plan.is_optimal,
            "timed_out": plan.solution.timed_out,
            "binding": binding(plan, uses),
            "emulated": any(part.figure.emulated for part in file.uncertain),
            "remarks": list(remarks(file, plan)),
        },
        "resources": [
            {
                "resource": use.resource,
                "capacity": use.capacity,
                "used": use.used,
                "used_share": use.used_share,
                "stranded": use.stranded,
                "stranded_share": use.stranded_share,
            }
            for use in uses
        ],
        "hosts": [
            {
                "host": pattern.host,
                "hosts": pattern.times,
                "services": dict(content(pattern, plan.service_of)),
                "free": dict(zip(resources, free.free, strict=True)),
                "stranded": dict(zip(resources, free.stranded, strict=True)),
            }
            for pattern, free in zip(plan.solution.patterns, frees, strict=True)
        ],
        "services": [
            {
                "name": service.name,
                "replicas": service.replicas,
                "requests": dict(service.requests),
                "measured": [
                    _measured(part) for part in file.uncertain if part.service == service.name
                ],
            }
            for service in file.services
        ],
        **({} if file.inside is None else {"machines": _machines(file.inside)}),
        **(further or {}),
        # Sets become sorted lists, so that the same plan gives the same document.
        "problem": msgspec.to_builtins(plan.problem, order="deterministic"),
        "solution": to_document(plan.problem, plan.solution),
    }


def csv_text(file: PlanFile, plan: Plan) -> str:
    """Return a line for each service of each pattern: `hosts` hosts carry so many replicas each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    remark = " ".join(remarks(file, plan))
    for number, pattern in enumerate(plan.solution.patterns, 1):
        for service, count in content(pattern, plan.service_of):
            writer.writerow((number, pattern.host, pattern.times, service, count, remark))
    return text.getvalue()


def read_proof(path: Path) -> Proof:
    """Return the proof of a plan that was written as JSON. Raise InvalidConfig if it is no plan."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(found, dict) or not isinstance(found.get("solution"), dict):
        raise InvalidConfig(
            f"{path} is no plan: it lacks problem or solution, which `tonnage plan --format json`"
            " writes."
        )
    try:
        problem = msgspec.convert(found.get("problem"), Problem)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"{path} is no plan: problem: {error}.") from error
    if fault := _fault(problem, found["solution"]):
        raise InvalidConfig(f"{path} is no plan: {fault}.")
    step = found["plan"].get("price_step") if isinstance(found.get("plan"), dict) else None
    if not isinstance(step, int | float) or not math.isfinite(step) or step <= 0:
        step = 1.0
    return Proof(problem, found["solution"], float(step))


def _fault(problem: Problem, solution: Mapping[str, Any]) -> str:
    """Return a fault that would make a proof meaningless or endless; empty if there is none."""
    demands = [demand.name for demand in problem.demands]
    hosts = [host.name for host in problem.hosts]
    for names in (demands, hosts):
        if len(set(names)) < len(names):
            return "problem: a name is given twice"
    named = {name for each in problem.demands for name in each.apart_from}
    named |= {name for split in problem.splits for name in split.parts}
    if unknown := named - set(demands):
        return f"problem: {min(unknown)} is no demand"
    if not all(split.parts for split in problem.splits):
        return "problem: a split has no parts"
    lengths = {len(each.size) for each in problem.demands}
    lengths |= {len(each.capacity) for each in problem.hosts}
    if lengths != {len(problem.resources)}:
        return "problem: each demand and each host needs an amount for each resource"
    counts = [amount for each in problem.demands for amount in (each.replicas, *each.size)]
    counts += [amount for each in problem.hosts for amount in (each.price, *each.capacity)]
    counts += [each.available for each in problem.hosts if each.available is not None]
    counts += [each.per_host - 1 for each in problem.demands if each.per_host is not None]
    counts += [split.max_skew for split in problem.splits]
    if min(counts, default=0) < 0:
        return "problem: an amount is negative"
    for key in ("replica_prices", "host_rents", "resource_prices"):
        prices = solution.get(key)
        if not isinstance(prices, dict):
            return f"solution: {key} is missing"
        for name, price in prices.items():
            each = price if isinstance(price, list) else [price]
            if not all(isinstance(one, str) and _FRACTION.fullmatch(one) for one in each):
                return f"solution: {key}: {name} has no fraction"
    return ""


def _machines(inside: Plan) -> list[dict[str, Any]]:
    return [
        {"name": f"machine {number}", "services": dict(content(pattern, inside.service_of))}
        for number, pattern in enumerate(inside.solution.patterns, 1)
    ]


def _measured(part: Uncertain) -> dict[str, Any]:
    figure = part.figure
    return {
        "resource": part.resource,
        "factor": part.factor,
        "figure": figure.name,
        "value": figure.centre,
        "low": figure.low,
        "high": figure.high,
        "samples": list(figure.samples),
        "emulated": figure.emulated,
    }

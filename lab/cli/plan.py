"""`tonnage plan`: how many hosts services need, and the proof that fewer can't be."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json
from lab.errors import InvalidConfig
from lab.language.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from lab.language.message import Language
    from lab.planning.plan import Plan
    from lab.planning.plan_document import Proof
    from lab.planning.plan_file import PlanFile
    from lab.planning.time_budget import TimeBudget
    from lab.planning.what_if import Further

MOST_DRAWS = 1_000_000


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "plan",
        _plan,
        "plan how many hosts services need, and prove that fewer can't be",
        (common, shared_options.output()),
    )
    parser.add_argument(
        "plan",
        type=argument_types.folder,
        nargs="?",
        metavar="PLAN",
        help="the plan file (TOML): services, hosts and wrapping",
    )
    parser.add_argument(
        "--check",
        type=argument_types.folder,
        metavar="FILE",
        help="check the bound of a plan that was written as JSON, instead of planning",
    )
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        metavar="DIR",
        help="write plan.json, plan.csv and plan.png to this folder, as well as printing",
    )
    parser.add_argument(
        "--picture",
        type=argument_types.folder,
        metavar="FILE",
        help="draw the packed hosts to this file: .png, .svg or .pdf",
    )
    parser.add_argument(
        "--deadline",
        type=argument_types.deadline_seconds,
        default=60.0,
        metavar="SECONDS",
        help="end all searches after this time and print the best plan with its gap; default: 60",
    )
    parser.add_argument(
        "--draws",
        type=_draws,
        metavar="N",
        help="draw what was measured N times, and tell how often these hosts suffice; default: 1000"
        " if anything was measured",
    )
    parser.add_argument(
        "--seed",
        type=argument_types.seed,
        default=0,
        metavar="N",
        help="seed of the draws; default: 0",
    )
    parser.add_argument(
        "--per-replica",
        action="store_true",
        help="also draw how single replicas scatter, as the rounds of a run do",
    )
    parser.add_argument(
        "--what-if",
        action="store_true",
        help="tell which loss of a host, rack or zone breaks the plan, when growth does, and how"
        " sensitive it is to each assumption",
    )


def _draws(text: str) -> int:
    """Return a number of draws that memory holds."""
    number = argument_types.count(text)
    if number > MOST_DRAWS:
        raise argparse.ArgumentTypeError(f"{text}: must be at most {MOST_DRAWS:,}")
    return number


def _plan(options: argparse.Namespace) -> int:
    if (options.plan is None) == (options.check is None):
        raise InvalidConfig("Name a plan file, or a plan to --check, and not both.")
    if options.check is not None:
        return _check(options.check, options.lang)
    _refuse_outputs(options)
    from lab.planning import plan_file
    from lab.planning.plan import make_plan
    from lab.planning.time_budget import TimeBudget

    weights = {"wrapping": 1, "plan": 3, "draws": 1, **({"what-if": 2} if options.what_if else {})}
    budget = TimeBudget(options.deadline, weights)
    file = plan_file.read(options.plan, deadline_seconds=budget.seconds_for("wrapping"))
    drawn = options.draws is not None or bool(file.uncertain)
    if not drawn:
        budget.drop("draws")
    plan = make_plan(
        file.services,
        file.hosts,
        objective=file.objective,
        deadline_seconds=budget.seconds_for("plan"),
    )
    further = _further(options, file, plan, budget, drawn=drawn)
    if options.out is not None:
        _write_files(options.out, file, plan, further, options.lang)
    if options.picture is not None:
        from lab.report import plan_picture

        plan_picture.draw(file, plan).write(options.picture, options.lang)
    _print(options, file, plan, further)
    return DONE


def _further(
    options: argparse.Namespace, file: PlanFile, plan: Plan, budget: TimeBudget, *, drawn: bool
) -> list[Further]:
    """Return what may change the plan: errors of what was measured, and what-if on request."""
    found: list[Further] = []
    if drawn:
        from lab.planning import what_if
        from lab.planning.uncertainty import DRAWS

        found.append(
            what_if.draw(
                file,
                plan,
                draws=options.draws or DRAWS,
                seed=options.seed,
                per_replica=options.per_replica,
                deadline_seconds=budget.seconds_for("draws"),
            )
        )
    if options.what_if:
        from lab.planning import what_if

        found.append(what_if.what_if(file, plan, deadline_seconds=budget.seconds_for("what-if")))
    return found


def _documents(further: list[Further]) -> dict[str, Any]:
    """Return the parts of the JSON document, by key."""
    return {key: value for each in further for key, value in each.document.items()}


def _print(options: argparse.Namespace, file: PlanFile, plan: Plan, further: list[Further]) -> None:
    from lab.planning import plan_document, plan_text

    sentences = [line for each in further for line in each.sentences]
    if options.format == "json":
        print_json(plan_document.document(file, plan, _documents(further)), indent=2)
    elif options.format == "csv":
        sys.stdout.write(plan_document.csv_text(file, plan))
    elif options.format == "markdown":
        sys.stdout.write(plan_text.markdown(file, plan, sentences, options.lang))
    else:
        plan_text.show(file, plan, sentences, language=options.lang)


def _refuse_outputs(options: argparse.Namespace) -> None:
    """Raise InvalidConfig before planning if the files can't be written afterwards."""
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise InvalidConfig(f"{options.out} is no folder: name another with --out.")
    if options.picture is not None:
        from lab.report import picture

        picture.check_path(options.picture)


def _write_files(
    folder: Path, file: PlanFile, plan: Plan, further: list[Further], language: Language
) -> None:
    """Write the plan to the folder in each format, with its picture in the language."""
    from lab.planning import plan_document
    from lab.report import plan_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
        document = plan_document.document(file, plan, _documents(further))
        text = json.dumps(document, indent=2, ensure_ascii=False)
        (folder / "plan.json").write_text(f"{text}\n", encoding="utf-8")
        (folder / "plan.csv").write_text(plan_document.csv_text(file, plan), encoding="utf-8")
    except OSError as error:
        raise InvalidConfig(f"Can't write to {folder}: {error.strerror}.") from error
    plan_picture.draw(file, plan).write(folder / "plan.png", language)


def _check(path: Path, language: Language) -> int:
    """Print the bound that a plan's certificate proves, and the plan's own cost."""
    from lab.language.message import translated
    from lab.planning import certificate, plan_document

    proof = plan_document.read_proof(path)
    try:
        bound = certificate.check(proof.problem, proof.solution)
    except InvalidConfig as error:
        fault = Message("{path}: the proof does not hold: {error}", path=path, error=error)
        print(translated(fault, language))
        return MEASUREMENT_FAILED
    print(translated(_proven(proof, bound), language))
    return DONE


def _proven(proof: Proof, bound: int) -> Message:
    """Return the bound beside what the plan needs: a number of hosts, or a price."""
    from lab.planning.headline import host_number, money

    cost = proof.solution["cost"]
    if all(host.price == 1 for host in proof.problem.hosts):
        return Message(
            "The proof holds: no plan has fewer than {least}; this one has {cost:,}.",
            least=host_number(bound),
            cost=cost,
        )
    least, price = (money(each * proof.price_step) for each in (bound, cost))
    return Message(
        "The proof holds: no plan costs less than {least}; this one costs {price}.",
        least=least,
        price=price,
    )

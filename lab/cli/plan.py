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

if TYPE_CHECKING:
    from pathlib import Path

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile
    from lab.planning.what_if import Further

FORMATS = ("text", "json", "csv")
MOST_DRAWS = 1_000_000


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "plan",
        _plan,
        "plan how many hosts services need, and prove that fewer can't be",
        (common,),
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
        "--format",
        choices=FORMATS,
        default="text",
        help="print text, a JSON document with the proof, or CSV; default: text",
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
        help="end the search after this time and print the best plan with its gap; default: 60",
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
        return _check(options.check)
    _refuse_outputs(options)
    from lab.planning import plan_file
    from lab.planning.plan import make_plan

    file = plan_file.read(options.plan, deadline_seconds=options.deadline)
    plan = make_plan(
        file.services, file.hosts, objective=file.objective, deadline_seconds=options.deadline
    )
    further = _further(options, file, plan)
    if options.out is not None:
        _write_files(options.out, file, plan, further)
    if options.picture is not None:
        from lab.report import plan_picture

        plan_picture.write(options.picture, file, plan)
    _print(options.format, file, plan, further)
    return DONE


def _further(options: argparse.Namespace, file: PlanFile, plan: Plan) -> list[Further]:
    """Return what may change the plan: errors of what was measured, and what-if on request."""
    found: list[Further] = []
    if options.draws is not None or file.uncertain:
        from lab.planning import what_if
        from lab.planning.uncertainty import DRAWS

        found.append(
            what_if.draw(
                file,
                plan,
                draws=options.draws or DRAWS,
                seed=options.seed,
                per_replica=options.per_replica,
                deadline_seconds=options.deadline,
            )
        )
    if options.what_if:
        from lab.planning import what_if

        found.append(what_if.what_if(file, plan, deadline_seconds=options.deadline))
    return found


def _documents(further: list[Further]) -> dict[str, Any]:
    """Return the parts of the JSON document, by key."""
    return {key: value for each in further for key, value in each.document.items()}


def _print(output_format: str, file: PlanFile, plan: Plan, further: list[Further]) -> None:
    from lab.planning import plan_document, plan_text

    if output_format == "json":
        print_json(plan_document.document(file, plan, _documents(further)), indent=2)
    elif output_format == "csv":
        sys.stdout.write(plan_document.csv_text(file, plan))
    else:
        plan_text.show(file, plan, [line for each in further for line in each.sentences])


def _refuse_outputs(options: argparse.Namespace) -> None:
    """Raise InvalidConfig before planning if the files can't be written afterwards."""
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise InvalidConfig(f"{options.out} is no folder: name another with --out.")
    if options.picture is not None:
        from lab.report import plan_picture

        plan_picture.check_suffix(options.picture)
        if not options.picture.parent.is_dir():
            raise InvalidConfig(f"{options.picture} can't be written: there is no such folder.")


def _write_files(folder: Path, file: PlanFile, plan: Plan, further: list[Further]) -> None:
    """Write the plan to the folder in each format, with its picture."""
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
    plan_picture.write(folder / "plan.png", file, plan)


def _check(path: Path) -> int:
    """Print the bound that a plan's certificate proves, and the plan's own cost."""
    from lab.planning import certificate, plan_document
    from lab.planning.headline import money

    proof = plan_document.read_proof(path)
    try:
        bound = certificate.check(proof.problem, proof.solution)
    except InvalidConfig as error:
        print(f"{path}: the proof does not hold: {error}")
        return MEASUREMENT_FAILED
    cost = proof.solution["cost"]
    if all(host.price == 1 for host in proof.problem.hosts):
        print(f"The proof holds: {bound:,} hosts are the least; the plan has {cost:,}.")
    else:
        least, price = (money(each * proof.price_step) for each in (bound, cost))
        print(f"The proof holds: no plan costs less than {least}; this one costs {price}.")
    return DONE

"""`tonnage plan`: how many hosts services need, and the proof that fewer can't be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from lab.cli import argument_types, shared_options
from lab.cli.exit_codes import DONE, MEASUREMENT_FAILED
from lab.cli.standard_streams import print_json
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile

FORMATS = ("text", "json", "csv")


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
    if options.out is not None:
        _write_files(options.out, file, plan)
    if options.picture is not None:
        from lab.report import plan_picture

        plan_picture.write(options.picture, file, plan)
    _print(options.format, file, plan)
    return DONE


def _print(output_format: str, file: PlanFile, plan: Plan) -> None:
    from lab.planning import plan_document, plan_text

    if output_format == "json":
        print_json(plan_document.document(file, plan), indent=2)
    elif output_format == "csv":
        sys.stdout.write(plan_document.csv_text(file, plan))
    else:
        plan_text.show(file, plan)


def _refuse_outputs(options: argparse.Namespace) -> None:
    """Raise InvalidConfig before planning if the files can't be written afterwards."""
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise InvalidConfig(f"{options.out} is no folder: name another with --out.")
    if options.picture is not None:
        from lab.report import plan_picture

        plan_picture.check_suffix(options.picture)
        if not options.picture.parent.is_dir():
            raise InvalidConfig(f"{options.picture} can't be written: there is no such folder.")


def _write_files(folder: Path, file: PlanFile, plan: Plan) -> None:
    """Write the plan to the folder in each format, with its picture."""
    from lab.planning import plan_document
    from lab.report import plan_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
        document = plan_document.document(file, plan)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        (folder / "plan.json").write_text(f"{text}\n", encoding="utf-8")
        (folder / "plan.csv").write_text(plan_document.csv_text(file, plan), encoding="utf-8")
    except OSError as error:
        raise InvalidConfig(f"Can't write to {folder}: {error.strerror}.") from error
    plan_picture.write(folder / "plan.png", file, plan)


def _check(path: Path) -> int:
    """Print the bound that a plan's certificate proves, and the plan's own cost."""
    from lab.planning import certificate, plan_document

    problem, solution = plan_document.read_proof(path)
    try:
        bound = certificate.check(problem, solution)
    except InvalidConfig as error:
        print(f"{path}: the proof does not hold: {error}")
        return MEASUREMENT_FAILED
    if all(host.price == 1 for host in problem.hosts):
        print(f"The proof holds: {bound:,} hosts are the least; the plan has {solution['cost']:,}.")
    else:
        print(f"The proof holds: no plan costs less than {bound:,}; it costs {solution['cost']:,}.")
    return DONE

"""Options that several verbs have in common, as parent parsers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lab.cli import argument_types, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]
    Run = Callable[[argparse.Namespace], int]

DEBUG = "show the traceback of an error"


def add_verb(
    verbs: Verbs, name: str, run: Run, summary: str, parents: Sequence[argparse.ArgumentParser]
) -> argparse.ArgumentParser:
    """Add a verb that runs `run`; `summary` is its line in the list of verbs and heads its help.

    The help ends with the verb's examples, if it has any.
    """
    parser = verbs.add_parser(
        name,
        parents=list(parents),
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog=examples.text(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=run)
    return parser


def common() -> argparse.ArgumentParser:
    """Return the parent parser of every verb."""
    parser = argparse.ArgumentParser(add_help=False)
    # No default: the verb's parser must not reset an option that was given before the verb.
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG)
    return parser


def output_format(*, tables: bool = False) -> argparse.ArgumentParser:
    """Return the parent parser with --format; with `tables`, also as Markdown and as CSV."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown", "csv") if tables else ("text", "json"),
        default="text",
        help="print text, a JSON document, Markdown or CSV; default: text"
        if tables
        else "print text or a JSON document; default: text",
    )
    return parser


def accelerator() -> argparse.ArgumentParser:
    """Return the parent parser with --accel."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="how machines run: kvm, or tcg (emulation); auto, the default, boots a tiny guest"
        " under KVM to see whether it works, and falls back to tcg",
    )
    return parser


def add_runtime_binary(parser: argparse.ArgumentParser) -> None:
    """Add --runtime-binary, further OCI runtimes as targets."""
    parser.add_argument(
        "--runtime-binary",
        type=argument_types.named_path,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="measure this program, an OCI runtime with runc's command line such as youki, as the"
        " target NAME; repeatable",
    )


def add_run_folder(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the folder of a run."""
    parser.add_argument(
        "run",
        type=argument_types.folder,
        metavar="RUN",
        help="the folder of a run, such as results/2026-11-29-vm",
    )


def add_folder_seed_and_wait(parser: argparse.ArgumentParser) -> None:
    """Add --out, --seed and --wait of the verbs that measure."""
    parser.add_argument(
        "--out",
        type=argument_types.folder,
        metavar="DIR",
        help="the folder to create for the result; default: a new one in results/",
    )
    parser.add_argument(
        "--seed",
        type=argument_types.seed,
        metavar="N",
        help="seed of the random order within rounds; default: random",
    )
    add_wait(parser)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add the option to wait for another measurement."""
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait while another measurement uses the host, instead of failing",
    )

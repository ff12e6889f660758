"""Options that several verbs have in common, as parent parsers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lab.cli import argument_types, examples
from lab.language import choice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]
    Run = Callable[[argparse.Namespace], int]

DEBUG = "show the traceback of an error"


def add_verb(
    verbs: Verbs,
    name: str,
    run: Run,
    summary: str,
    parents: Sequence[argparse.ArgumentParser],
    full_name: str = "",
) -> argparse.ArgumentParser:
    """Add a verb that runs `run`; `summary` is its line in the list of verbs and heads its help.

    The help ends with the examples of the verb, if it has any. `full_name` is that of a verb below
    another one.
    """
    parser = verbs.add_parser(
        name,
        parents=list(parents),
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog=examples.text(full_name or name),
        formatter_class=examples.HelpFormatter,
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
    """Return the parent parser with --format; with `tables`, also as CSV and as Markdown."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv", "markdown") if tables else ("text", "json"),
        default="text",
        help="print text, a JSON document, CSV or Markdown; default: text"
        if tables
        else "print text or a JSON document; default: text",
    )
    return parser


def output() -> argparse.ArgumentParser:
    """Return the parent parser of verbs that print tables: --format and --lang."""
    parser = argparse.ArgumentParser(add_help=False, parents=[output_format(tables=True)])
    add_language(parser)
    return parser


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add --lang, by default $TONNAGE_LANG. JSON, CSV and errors are the same in each language."""
    parser.add_argument(
        "--lang",
        type=argument_types.language,
        default=_language_at_hand("en"),
        metavar="{en,zh}",
        help="language of text and Markdown: English or Chinese; default:"
        f" ${choice.VARIABLE}, else en",
    )


def add_languages(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --lang of what can be in both languages, by default $TONNAGE_LANG, else both."""
    parser.add_argument(
        "--lang",
        type=argument_types.language_or_both,
        default=_language_at_hand(choice.BOTH),
        metavar="{en,zh,both}",
        help=f"language of {what}; default: ${choice.VARIABLE}, else both",
    )


def _language_at_hand(otherwise: str) -> str:
    """Return $TONNAGE_LANG, or what to use without it, and in place of "both".

    It is a string, so that argparse refuses a bad one from the environment like a given one.
    """
    chosen = choice.at_hand()
    return otherwise if chosen == choice.BOTH else chosen


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

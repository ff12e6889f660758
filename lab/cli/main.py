"""The entry point of `tonnage`: parses the command line, runs a verb, prints errors."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import signals
from lab.cli import exit_codes, parser, standard_streams
from lab.cli.standard_streams import OutputClosed, OutputError
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit code."""
    standard_streams.prepare()
    try:
        return _run_and_flush(arguments)
    except OutputClosed:
        standard_streams.discard_output()
        return exit_codes.OUTPUT_CLOSED
    except OutputError as error:
        standard_streams.discard_output()
        print(f"tonnage: {error}", file=sys.stderr)
        return exit_codes.OUTPUT_FAILED


def _run_and_flush(arguments: Sequence[str] | None) -> int:
    """Run a verb and flush its output, also that of `--help`."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        options = parser.build(given).parse_args(given)
    except SystemExit:
        sys.stdout.flush()
        raise
    with _debugging(options.debug):
        code = _run_verb(options)
    sys.stdout.flush()
    return code


@contextmanager
def _debugging(debug: bool) -> Iterator[None]:
    """Make this process and its workers show tracebacks within the block, if `debug` is true."""
    before = os.environ.get("TONNAGE_DEBUG")
    if debug:
        os.environ["TONNAGE_DEBUG"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("TONNAGE_DEBUG", None)
        else:
            os.environ["TONNAGE_DEBUG"] = before


def _run_verb(options: argparse.Namespace) -> int:
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        with signals.interrupting():
            return verb(options)
    except OutputError:
        raise
    except LabError as error:
        if options.debug:
            raise
        print(f"tonnage: {error}", file=sys.stderr)
        return exit_codes.BAD_USAGE
    except ImportError:
        from lab.host import libvirt_library

        if options.debug or not (reason := libvirt_library.absent()):
            raise
        print(f"tonnage: {reason}.", file=sys.stderr)
        return exit_codes.BAD_USAGE
    except signals.Interrupted as interrupted:
        name = signal.Signals(interrupted.number).name
        print(f"tonnage: interrupted by {name}", file=sys.stderr)
        return 128 + interrupted.number
    except KeyboardInterrupt:
        print("tonnage: interrupted", file=sys.stderr)
        return exit_codes.INTERRUPTED
    except OSError as error:
        # Even to ask whether a path exists fails if it is too long, or in a closed folder.
        if options.debug or not isinstance(error.filename, str | bytes):
            raise
        print(
            f"tonnage: Can't use {os.fsdecode(error.filename)}: {error.strerror}.", file=sys.stderr
        )
        return exit_codes.BAD_USAGE


if __name__ == "__main__":
    sys.exit(main())

"""`tonnage vm`: what is seen, said and done inside a machine."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import one, verb
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers

_INSIDE_SECONDS = 60.0
_ENDING_SECONDS, _POLL_SECONDS = 2.0, 0.05


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add console, screenshot, exec and cp."""
    parser = one(verbs, common, "console", _console, "the serial console; Ctrl-] leaves it")
    parser.add_argument("--force", action="store_true", help="take it over from whoever has it")
    one(verbs, common, "screenshot", _screenshot, "the screen as PNG").add_argument(
        "file", type=Path, metavar="FILE"
    )
    parser = one(verbs, common, "exec", _exec, "run a command inside; its exit code is ours")
    parser.add_argument(
        "--timeout", type=float, default=_INSIDE_SECONDS, metavar="SECONDS",
        help="for a machine that still boots, and then for the command; default: 60",
    )  # fmt: skip
    parser.add_argument("argv", nargs="+", metavar="ARG", help="after --, the command's words")
    parser = verb(verbs, common, "cp", _copy, "copy a file in or out: NAME:PATH is inside")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION")


def _console(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.domain import pauses
    from vms.operations import console

    box = _running(connection, options.name)
    with pauses.told(box, tell, resumes=False):
        left = console.attach(box, force=options.force)
    if left:
        print(file=sys.stderr)
        return 0
    if _runs_on(box):
        raise LabError(f"Somebody else took over the console of {box.name}.")
    print(f"\n{box.name} ended", file=sys.stderr)
    return 0


def _running(connection: vms.Connection, name: str) -> vms.Domain:
    """Return a machine that runs. Raises LabError for one that does not."""
    box = connection.find(name)
    if not box.is_running:
        raise LabError(f"{name} does not run: tonnage vm start {name} starts it.")
    return box


def _runs_on(box: vms.Domain) -> bool:
    """Return True unless it ends: its console is closed a moment before libvirt says so."""
    give_up = time.monotonic() + _ENDING_SECONDS
    while box.is_running:
        if time.monotonic() > give_up:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def tell(line: str) -> None:
    """Say something beside a console, whose terminal may be raw."""
    end = "\r\n" if sys.stderr.isatty() else "\n"
    print(f"{end}{line}", end=end, file=sys.stderr, flush=True)


def _screenshot(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import screenshot

    options.file.write_bytes(screenshot.take(connection.find(options.name)))
    return 0


def _exec(options: argparse.Namespace, connection: vms.Connection) -> int:
    box = _running(connection, options.name)
    box.wait_for("ready", options.timeout)
    done = box.inside.run(options.argv, options.timeout)
    if options.format == "json":
        document = {
            "exit_code": done.exit_code,
            "stdout": done.stdout.decode(errors="replace"),
            "stderr": done.stderr.decode(errors="replace"),
            "elapsed_ns": done.elapsed_ns,
        }
        print(json.dumps(document, indent=2))
    else:
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
    return done.exit_code


def _copy(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.guest import file_copy

    source, destination = _place(options.source), _place(options.destination)
    if bool(source[0]) == bool(destination[0]):
        raise LabError("One of the two must be NAME:PATH, in a machine; the other one a file here.")
    if destination[0]:
        inside = _running(connection, destination[0]).inside
        file_copy.copy_in(inside, Path(source[1]), destination[1])
    else:
        inside = _running(connection, source[0]).inside
        file_copy.copy_out(inside, source[1], Path(destination[1]).absolute())
    return 0


def _place(text: str) -> tuple[str, str]:
    """A machine's name and a path in it; no name for a path here."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and os.sep not in name else ("", text)

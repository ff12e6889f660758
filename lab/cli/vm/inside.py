"""`tonnage vm`: a machine's console and screen, commands and files in its guest."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import add_connected_verb, add_machine_verb, print_record
from lab.errors import InvalidConfig, LabError

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers

_TIMEOUT_SECONDS = 60.0
_ENDING_SECONDS, _POLL_SECONDS = 2.0, 0.05


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add console, screenshot, exec and cp."""
    parser = add_machine_verb(
        verbs, common, "console", _console, "connect to the serial console; Ctrl-] leaves it"
    )
    parser.add_argument(
        "--force", action="store_true", help="disconnect another user of the console"
    )
    parser = add_machine_verb(
        verbs, common, "screenshot", _screenshot, "store a picture of the screen"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the PNG file to write")
    parser = add_machine_verb(
        verbs, common, "exec", _exec, "run a command in the guest, and exit with its exit code"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="limit for the boot to finish, and again for the command; default: 60",
    )
    parser.add_argument("argv", nargs="+", metavar="ARG", help="the command, after --")
    parser = add_connected_verb(verbs, common, "cp", _copy, "copy a file into a guest or out of it")
    place = "a file of this host, or NAME:PATH for a file in a machine"
    parser.add_argument("source", metavar="SOURCE", help=place)
    parser.add_argument("destination", metavar="DESTINATION", help=place)


def _console(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.domain import pauses
    from vms.operations import console

    domain = _running(connection, options.name)
    with pauses.reported(domain, print_beside_console, resumes=False):
        escaped = console.attach(domain, force=options.force)
    if escaped:
        print(file=sys.stderr)
        return 0
    if _keeps_running(domain):
        raise LabError(f"Another user took over the console of {domain.name}.")
    print(f"\n{domain.name} ended", file=sys.stderr)
    return 0


def _running(connection: vms.Connection, name: str) -> vms.Domain:
    """Return the machine. Raise LabError if it is not running."""
    domain = connection.find(name)
    if not domain.is_running:
        raise LabError(f"{name} is not running: start it with tonnage vm start {name}.")
    return domain


def _keeps_running(domain: vms.Domain) -> bool:
    """Return False if the machine ends within a moment: its console closes before libvirt knows."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while domain.is_running:
        if time.monotonic() > deadline:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def print_beside_console(line: str) -> None:
    """Print a line on standard error while a console uses the terminal, which may be raw."""
    end = "\r\n" if sys.stderr.isatty() else "\n"
    print(f"{end}{line}", end=end, file=sys.stderr, flush=True)


def _screenshot(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import screenshot

    path: Path = options.file
    existed = path.exists()
    try:
        # Before anything is done, and without O_TRUNC, so that a failure keeps the old content.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise LabError(f"Can't write {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        try:
            picture = screenshot.take(connection.find(options.name))
        except BaseException:
            if not existed:
                path.unlink(missing_ok=True)
            raise
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                file.truncate(0)
            file.write(picture)
            file.flush()
        except OSError as error:
            raise LabError(f"Can't write {path}: {error.strerror}.") from error
    return 0


def _exec(options: argparse.Namespace, connection: vms.Connection) -> int:
    domain = _running(connection, options.name)
    domain.wait_for("ready", options.timeout)
    result = domain.inside.run(options.argv, options.timeout)
    if options.format != "text":
        document = {
            "exit_code": result.exit_code,
            "stdout": result.stdout.decode(errors="replace"),
            "stderr": result.stderr.decode(errors="replace"),
            "elapsed_ns": result.elapsed_ns,
        }
        print_record(options, document, "")
    else:
        sys.stdout.buffer.write(result.stdout)
        sys.stderr.buffer.write(result.stderr)
    return result.exit_code


def _copy(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.guest import file_copy

    source, destination = _place(options.source), _place(options.destination)
    if bool(source[0]) == bool(destination[0]):
        raise InvalidConfig(
            "cp copies between this host and a machine: give NAME:PATH for either SOURCE or"
            " DESTINATION, not for both."
        )
    if destination[0]:
        inside = _running(connection, destination[0]).inside
        file_copy.copy_in(inside, Path(source[1]), destination[1])
    else:
        inside = _running(connection, source[0]).inside
        file_copy.copy_out(inside, source[1], Path(destination[1]).absolute())
    return 0


def _place(text: str) -> tuple[str, str]:
    """Return the machine's name and the path in it; the name is empty for a path on this host."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and os.sep not in name else ("", text)

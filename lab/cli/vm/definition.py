"""`tonnage vm`: a machine's definition as libvirt's XML, printed, defined and edited."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import add_connected_verb, add_machine_verb
from lab.errors import InvalidConfig, LabError, Unavailable

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers

_EDITORS = ("VISUAL", "EDITOR")
_DEFAULT_EDITOR = "vi"
# An editor that returns unchanged within this time has only opened a window and does not wait.
_AT_ONCE_SECONDS = 1.0


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add dumpxml, define and edit."""
    parser = add_machine_verb(verbs, common, "dumpxml", _dumpxml, "print a machine's libvirt XML")
    parser.add_argument(
        "--inactive", action="store_true", help="print the definition, not the running state"
    )
    parser.add_argument("--security-info", action="store_true", help="include passwords")
    parser = add_connected_verb(verbs, common, "define", _define, "define a machine by libvirt XML")
    parser.add_argument("file", type=Path, metavar="FILE", help="the XML file")
    add_machine_verb(
        verbs,
        common,
        "edit",
        _edit,
        "edit a machine's XML with $VISUAL or $EDITOR; rejected XML is kept in a file",
    )


def _dumpxml(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import definitions

    domain = connection.find(options.name)
    xml = definitions.text(domain, inactive=options.inactive, secrets=options.security_info)
    print(xml, end="" if xml.endswith("\n") else "\n")
    return 0


def _define(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import definitions

    domain = definitions.define(connection, _read(options.file))
    print(f"{domain.name} is defined", file=sys.stderr)
    return 0


def _edit(options: argparse.Namespace, connection: vms.Connection) -> int:
    """Edit a copy until libvirt accepts it or the user gives up; a rejected copy stays on disk."""
    from vms import MachineError
    from vms.operations import definitions

    domain = connection.find(options.name)
    before = definitions.editable(domain)
    descriptor, name = tempfile.mkstemp(prefix=f"{domain.name}-", suffix=".xml")
    file = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(before)
    while True:
        try:
            after = _edited(file, before)
            if after == before:
                message = f"{domain.name} is unchanged"
            else:
                definitions.replace(connection, domain, before, after)
                later = " from its next start on" if domain.is_running else ""
                message = f"{domain.name} is changed{later}"
        except (MachineError, LabError) as error:
            if _edit_again(str(error)):
                continue
            raise LabError(
                f"{error} {domain.name} is unchanged. Your text is kept in {file}: correct it, then"
                f" run tonnage vm define {file}."
            ) from error
        file.unlink()
        print(message, file=sys.stderr)
        return 0


def _edited(file: Path, before: str) -> str:
    """Return the file's text after the user edited it. Raise LabError if editing fails."""
    elapsed_seconds = _run_editor(file)
    after = _read(file)
    if after == before and elapsed_seconds < _AT_ONCE_SECONDS:
        raise LabError(
            "The editor ended at once: set EDITOR to a command that waits, such as code --wait."
        )
    return after


def _run_editor(file: Path) -> float:
    """Run the user's editor, a command that may include arguments; return its seconds.

    Raise LabError if it can't be run or fails.
    """
    begin = time.monotonic()
    commands = filter(None, map(os.environ.get, _EDITORS))
    editor = next(commands, _DEFAULT_EDITOR)
    try:
        result = subprocess.run([*shlex.split(editor), str(file)], check=False)
    except (OSError, ValueError) as error:
        raise Unavailable(f"Can't run the editor {editor!r}: set EDITOR to another.") from error
    if result.returncode:
        raise LabError(f"The editor {editor!r} failed with exit code {result.returncode}.")
    return time.monotonic() - begin


def _edit_again(sentence: str) -> bool:
    """Ask the user whether to edit again; return False without a terminal."""
    if not sys.stdin.isatty():
        return False
    print(sentence, file=sys.stderr)
    try:
        return input("Edit again? [Y/n] ").strip().lower() in {"", "y", "yes"}
    except EOFError:
        return False


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidConfig(f"Can't read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{file} is not valid UTF-8.") from error

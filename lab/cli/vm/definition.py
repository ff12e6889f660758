"""`tonnage vm`: a machine's definition as libvirt's XML, shown and edited."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import one, verb
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers

_EDITORS = ("VISUAL", "EDITOR")
_DEFAULT_EDITOR = "vi"
# Nobody reads a description so fast: such an editor has opened a window, and left the file to it.
_AT_ONCE_SECONDS = 1.0


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add dumpxml, define and edit."""
    parser = one(verbs, common, "dumpxml", _dumpxml, "print libvirt's XML of a machine")
    parser.add_argument(
        "--inactive", action="store_true", help="as it is defined, not as it runs now"
    )
    parser.add_argument("--security-info", action="store_true", help="with its passwords")
    verb(verbs, common, "define", _define, "make a machine of libvirt's XML").add_argument(
        "file", type=Path, metavar="FILE"
    )
    one(
        verbs, common, "edit", _edit, "change a machine's XML in $VISUAL or $EDITOR; a bad one is"
        " refused, and kept in a file"
    )  # fmt: skip


def _dumpxml(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import definitions

    box = connection.find(options.name)
    said = definitions.text(box, inactive=options.inactive, secrets=options.security_info)
    print(said, end="" if said.endswith("\n") else "\n")
    return 0


def _define(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import definitions

    box = definitions.define(connection, _read(options.file))
    print(f"{box.name} is defined", file=sys.stderr)
    return 0


def _edit(options: argparse.Namespace, connection: vms.Connection) -> int:
    """Edit a copy until it is taken, or given up; what was refused stays in its file."""
    from vms import MachineError
    from vms.operations import definitions

    box = connection.find(options.name)
    before = definitions.editable(box)
    descriptor, name = tempfile.mkstemp(prefix=f"{box.name}-", suffix=".xml")
    file = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(before)
    while True:
        try:
            after = _edited(file, before)
            if after == before:
                said = f"{box.name} is as it was"
            else:
                definitions.replace(connection, box, before, after)
                later = " from its next start on" if box.is_running else ""
                said = f"{box.name} is changed{later}"
        except (MachineError, LabError) as error:
            if _again(str(error)):
                continue
            raise LabError(
                f"{error} {box.name} is as it was; what you wrote is kept in {file}: mend it, then"
                f" tonnage vm define {file}."
            ) from error
        file.unlink()
        print(said, file=sys.stderr)
        return 0


def _edited(file: Path, before: str) -> str:
    """Return what the user makes of the file's text. Raises LabError."""
    took_seconds = _have_edited(file)
    after = _read(file)
    if after == before and took_seconds < _AT_ONCE_SECONDS:
        raise LabError("The editor ended at once: one that waits is needed (code --wait).")
    return after


def _have_edited(file: Path) -> float:
    """Run the user's editor, which may have words of its own; return the seconds that it took.

    Raises LabError.
    """
    begun = time.monotonic()
    editor = next((found for name in _EDITORS if (found := os.environ.get(name))), _DEFAULT_EDITOR)
    try:
        done = subprocess.run([*shlex.split(editor), str(file)], check=False)
    except (OSError, ValueError) as error:
        raise LabError(f"The editor {editor!r} can't be run: set EDITOR to another.") from error
    if done.returncode:
        raise LabError(f"The editor {editor!r} ended with {done.returncode}.")
    return time.monotonic() - begun


def _again(sentence: str) -> bool:
    """Ask whoever is at the terminal whether to edit once more."""
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
        raise LabError(f"Can't read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LabError(f"{file} is no UTF-8.") from error

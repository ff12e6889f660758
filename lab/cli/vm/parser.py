"""`tonnage vm`: its verbs, each brought by a module that registers what it has."""

from __future__ import annotations

import argparse

from lab.cli.vm import images_and_run, life
from lab.errors import LabError

# A module's `register` adds its verbs to the subparsers it is given; `common` are the options that
# every one has. Each sets `machine_verb` to a function of the options that returns the exit code.
_MODULES = (images_and_run, life)


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `vm` and all that is below it."""
    machine = verbs.add_parser("vm", help="machines: images, create, run, list, and their life")
    machine.set_defaults(verb=_answer)
    below = machine.add_subparsers(metavar="VERB", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--connect",
        metavar="URI",
        help="a libvirt, such as qemu:///system or qemu+ssh://HOST/system; default:"
        " $LIBVIRT_DEFAULT_URI, else one of this process's own",
    )
    common.add_argument("--format", choices=("text", "json"), default="text")
    for module in _MODULES:
        module.register(below, common)


def _answer(options: argparse.Namespace) -> int:
    """Run the verb; what goes wrong in `vms` becomes an error of the lab's, which `main` prints."""
    from vms import MachineError

    try:
        return int(options.machine_verb(options))
    except MachineError as error:
        raise LabError(str(error)) from error
    except UnicodeEncodeError as error:
        raise LabError(f"{error.object!r} is no UTF-8, which libvirt takes alone.") from error

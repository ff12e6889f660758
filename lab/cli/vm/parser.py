"""`tonnage vm`: joins its verbs, and turns errors of `vms` into errors of the command line."""

from __future__ import annotations

import argparse

from lab.cli import examples, shared_options
from lab.cli.vm import images_and_run, life
from lab.cli.vm.examples import EXAMPLES
from lab.cli.vm.several import lab_errors

# `register` of each module adds its verbs to the subparsers that it gets. `common` has the options
# of every verb. A verb sets `machine_verb` to a function that takes the options and returns the
# exit code.
_MODULES = (images_and_run, life)


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add `vm` and its verbs."""
    text = "manage virtual machines: images, create, run, list, snapshots and more"
    parser = shared_options.add_verb(verbs, "vm", _run, text, ())
    below = parser.add_subparsers(metavar="VERB", required=True)
    shared = argparse.ArgumentParser(add_help=False, parents=[common, shared_options.output()])
    shared.add_argument(
        "--connect",
        metavar="URI",
        help="the libvirt to use, such as qemu:///system or qemu+ssh://HOST/system; default:"
        " $LIBVIRT_DEFAULT_URI; run always uses a private libvirt inside its own process",
    )
    for module in _MODULES:
        module.register(below, shared)
    examples.attach(below, "vm", EXAMPLES)


def _run(options: argparse.Namespace) -> int:
    """Run the verb. Raise LabError in place of an error of `vms`, for `main` to print."""
    with lab_errors():
        return int(options.machine_verb(options))

"""`tonnage vm`: a machine's addresses, and ssh into it."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import address, one, opened, show
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add domifaddr and ssh."""
    parser = one(verbs, common, "domifaddr", _domifaddr, "the addresses of a machine's cards")
    parser.add_argument(
        "--source", choices=("lease", "agent", "arp"),
        help="who says so; default: the first that knows any",
    )  # fmt: skip
    parser = verbs.add_parser(
        "ssh", parents=[common],
        help="log in by ssh: to a port of this host that leads to 22, or to the machine's address",
    )  # fmt: skip
    parser.add_argument("machine", metavar="[USER@]NAME")
    parser.add_argument(
        "-c", "--command", metavar="COMMAND", help="for a shell inside; default: log in"
    )
    parser.add_argument("-i", "--identity", type=Path, metavar="FILE", help="the private key")
    parser.set_defaults(machine_verb=_ssh)


def _domifaddr(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import addresses

    sources = (options.source,) if options.source else addresses.SOURCES
    found = addresses.of(connection.find(options.name), sources)
    rows = [
        (each.interface, each.mac, each.protocol, f"{each.address}/{each.prefix}", each.source)
        for each in found
    ]
    heads = ("NAME", "MAC", "PROTOCOL", "ADDRESS", "SOURCE")
    return show(options, [asdict(each) for each in found], heads, rows)


def _ssh(options: argparse.Namespace) -> int:
    """Have ssh know a machine by its UUID: another one at that address has keys of its own."""
    from vms import paths
    from vms.operations import addresses, foreground

    user, _, name = options.machine.rpartition("@")
    is_here = any(each.name == name for each in foreground.machines())
    if not options.connect and (is_here or address(options) is None):
        found = foreground.find(name)
        reached, alias, known = found.endpoint(addresses.SSH), found.uuid, found.root
    else:
        with opened(options.connect) as connection:
            box = connection.find(name)
            reached, alias = addresses.endpoint(box, addresses.SSH), box.handle.UUIDString()
        known = paths.directory()
    argv = ssh_argv(reached, alias, known / "known_hosts", user, options.identity, options.command)
    try:
        return subprocess.run(argv, check=False).returncode
    except FileNotFoundError as error:
        raise LabError("ssh is missing: apt-get install openssh-client.") from error


def ssh_argv(
    reached: tuple[str, int],
    alias: str,
    known_hosts: Path,
    user: str,
    identity: Path | None,
    command: str | None,
) -> list[str]:
    """Return ssh's command line: a first key is taken and kept, another one later is refused."""
    host, port = reached
    policy = {
        "HostKeyAlias": alias,
        "UserKnownHostsFile": f'"{known_hosts}"',
        "StrictHostKeyChecking": "accept-new",
    }
    return [
        "ssh",
        *(word for key, value in policy.items() for word in ("-o", f"{key}={value}")),
        *(("-i", str(identity)) if identity else ()),
        *(("-l", user) if user else ()),
        "-p", str(port), "--", host, *((command,) if command else ()),
    ]  # fmt: skip

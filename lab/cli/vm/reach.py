"""`tonnage vm`: a machine's addresses, and ssh into it."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import (
    add_machine_verb,
    add_verb,
    keys_of,
    libvirt_uri,
    open_libvirt,
    print_rows,
)
from lab.errors import Unavailable
from lab.language.message import Message

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add domifaddr and ssh."""
    parser = add_machine_verb(
        verbs, common, "domifaddr", _domifaddr, "print the addresses of a machine's network cards"
    )
    parser.add_argument(
        "--source",
        choices=("lease", "agent", "arp"),
        help="where to look for addresses; default: the first source that knows any",
    )
    parser = add_verb(
        verbs,
        (common,),
        "ssh",
        _ssh,
        "log in to a machine by ssh, through a published port or at its own address",
    )
    parser.add_argument("machine", metavar="[USER@]NAME", help="the machine, and the user in it")
    parser.add_argument(
        "-c", "--command", metavar="COMMAND", help="run a shell command instead of logging in"
    )
    parser.add_argument("-i", "--identity", type=Path, metavar="FILE", help="the private key")


def _domifaddr(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import addresses

    sources = (options.source,) if options.source else addresses.SOURCES
    listed = addresses.of(connection.find(options.name), sources)
    rows = [
        (each.interface, each.mac, each.protocol, f"{each.address}/{each.prefix}", each.source)
        for each in listed
    ]
    headings = (
        Message("NAME"),
        Message("MAC"),
        Message("PROTOCOL"),
        Message("ADDRESS"),
        Message("SOURCE"),
    )
    keys = keys_of(addresses.Address)
    return print_rows(options, keys, [asdict(each) for each in listed], headings, rows)


def _ssh(options: argparse.Namespace) -> int:
    """Run ssh with the machine's UUID as host key alias.

    Another machine at the same address then has host keys of its own.
    """
    from vms import paths
    from vms.operations import addresses, foreground, listing

    user, _, name = options.machine.rpartition("@")
    is_here = any(each.name == name for each in listing.foreground_machines())
    if not options.connect and (is_here or libvirt_uri(options) is None):
        machine = foreground.find(name)
        endpoint, alias, directory = machine.endpoint(addresses.SSH), machine.uuid, machine.root
    else:
        with open_libvirt(options.connect) as connection:
            domain = connection.find(name)
            endpoint = addresses.endpoint(domain, addresses.SSH)
            alias = domain.handle.UUIDString()
        directory = paths.directory()
    known_hosts = directory / "known_hosts"
    argv = ssh_argv(endpoint, alias, known_hosts, user, options.identity, options.command)
    try:
        return subprocess.run(argv, check=False).returncode
    except FileNotFoundError as error:
        raise Unavailable("ssh is not installed: apt-get install openssh-client.") from error


def ssh_argv(
    endpoint: tuple[str, int],
    alias: str,
    known_hosts: Path,
    user: str,
    identity: Path | None,
    command: str | None,
) -> list[str]:
    """Return ssh's command line. A machine's first host key is stored, a changed one is refused."""
    host, port = endpoint
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

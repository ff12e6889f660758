"""`tonnage vm ssh` and `domifaddr`: addresses of machines, and their host keys."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from lab.cli import exit_codes, main
from lab.cli.vm.reach import ssh_argv
from tests.vms.description.described import machine
from vms import Connection, Forward, HostBridge, MachineError, UserNetwork, hosts
from vms.connection import process_root
from vms.operations import addresses, foreground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms import Domain


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tv-", dir="/tmp"))
    monkeypatch.setenv("TONNAGE_STATE", str(path))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def box(state: Path) -> Iterator[Domain]:
    with Connection.open(state / "c", "test:///default") as connection:
        yield connection.find("test")


def test_a_host_key_is_stored_by_the_machines_uuid() -> None:
    argv = ssh_argv(("127.0.0.1", 2222), "u-u-i-d", Path("/s t/k"), "me", Path("key"), "ls -l")
    assert argv == [
        "ssh", "-o", "HostKeyAlias=u-u-i-d", "-o", 'UserKnownHostsFile="/s t/k"',
        "-o", "StrictHostKeyChecking=accept-new", "-i", "key", "-l", "me", "-p", "2222",
        "--", "127.0.0.1", "ls -l",
    ]  # fmt: skip
    assert ssh_argv(("::1", 22), "u", Path("/k"), "", None, None)[-4:] == ["-p", "22", "--", "::1"]


@pytest.mark.parametrize(
    ("forward", "port", "reached"),
    [
        ("<range start='2222' to='22'/>", 22, ("127.0.0.1", 2222)),
        ("<range start='22'/>", 22, ("127.0.0.1", 22)),
        ("<range start='2000' end='2100' to='20'/>", 22, ("127.0.0.1", 2002)),
        ("<range start='2222' to='2022'/>", 22, None),
        ("<range start='20' end='30' exclude='yes'/>", 22, None),
    ],
)
def test_a_forward_of_passts_leads_in(
    forward: str, port: int, reached: tuple[str, int] | None, box: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    described = (
        "<domain><devices><interface type='user'><mac address='52:54:00:00:00:01'/>"
        f"<portForward proto='udp'>{forward}</portForward>"
        f"<portForward proto='tcp' address='127.0.0.1'>{forward}</portForward>"
        "</interface></devices></domain>"
    )
    monkeypatch.setattr(box, "xml", lambda: ET.fromstring(described))
    if reached:
        assert addresses.endpoint(box, port) == reached
        return
    with pytest.raises(MachineError, match="Port 22 of test can't be reached from this host"):
        addresses.endpoint(box, port)


def test_a_forward_on_another_host_leads_nowhere(
    box: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = ET.fromstring(
        "<domain><devices><interface type='user'><portForward proto='tcp'>"
        "<range start='2222' to='22'/></portForward></interface></devices></domain>"
    )
    monkeypatch.setattr(box, "xml", lambda: described)
    monkeypatch.setattr(box, "host", hosts.Host("qemu+ssh://other/system", is_here=False))
    with pytest.raises(MachineError, match="Port 22 of test can't be reached from this host"):
        addresses.endpoint(box, 22)


def test_an_address_that_nobody_knows(box: Domain, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["vm", "domifaddr", "--connect", "test:///default", "test"]
    found = addresses.of(box)
    assert [(each.protocol, each.source) for each in found] == [("ipv4", "lease")]
    assert main.main(words) == 0
    assert "192.168.122." in capsys.readouterr().out
    assert addresses.endpoint(box, 22) == (found[0].address, 22)
    box.destroy()
    with pytest.raises(MachineError, match="test is not running, so it has no addresses"):
        addresses.of(box)
    box.start()


def test_a_machine_in_the_foreground_says_which_ports_lead_in(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with process_root.own_root() as root:
        card = UserNetwork((Forward(2222, 22, address="0.0.0.0"), Forward(8080, 80)))
        foreground.note_forwards(root, replace(machine(), networks=(card, HostBridge("b"))))
        (root / "run/qemu").mkdir(parents=True)
        status = "<domstatus><domain><uuid>u-u-i-d</uuid></domain></domstatus>"
        (root / "run/qemu/web.xml").write_text(status)
        # This process owns the root, like another process that runs a machine.
        found = foreground.find("web")
        assert (found.uuid, found.root) == ("u-u-i-d", root)
        assert found.endpoint(22) == ("127.0.0.1", 2222)
        assert found.endpoint(80) == ("127.0.0.1", 8080)
        with pytest.raises(MachineError, match="Port 443 of web can't be reached"):
            found.endpoint(443)
    assert main.main(["vm", "ssh", "web"]) == exit_codes.BAD_USAGE
    assert "No machine web runs in the foreground" in capsys.readouterr().err
    assert main.main(["vm", "ssh", "root@../web"]) == exit_codes.BAD_USAGE
    assert "name must be up to 48" in capsys.readouterr().err
    assert list((state / "r").iterdir()) == []

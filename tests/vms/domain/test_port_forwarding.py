"""Port forwards of machines that libvirt keeps."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import pytest

from vms import (
    Accelerator,
    Connection,
    DirectKernel,
    Forward,
    InvalidDescription,
    Machine,
    UserNetwork,
)
from vms.domain import port_forwarding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("backend", ["slirp", "passt"])
def test_forwards_of_kept_machines_need_passt(
    connection: Connection, backend: Literal["slirp", "passt"], tmp_path: Path
) -> None:
    """libvirt forwards ports with passt only, and nothing else is there at a later start."""
    kernel = tmp_path / "kernel"
    kernel.touch()
    network = UserNetwork((Forward(8080, 80),), backend=backend)
    box = Machine(
        name="kept",
        vcpus=1,
        memory_mib=64,
        accelerator=Accelerator.TCG,
        chipset="q35",
        boot=DirectKernel(kernel, None),
        networks=(network,),
    )
    with (
        pytest.raises(InvalidDescription, match=r"networks has port forwards \(8080\)")
        if backend == "slirp"
        else nullcontext()
    ):
        port_forwarding.refuse_kept(box)
    if backend == "slirp":
        with pytest.raises(InvalidDescription, match=r"kept: networks .* start the machine by run"):
            connection.define(box)
        assert [each.name for each in connection.domains()] == ["test"]

"""Instances of vector bin packing: their format, its faults, and public ones."""

from __future__ import annotations

import csv
import math
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import vbp
from tests.lab.planning.readers import public_data

if TYPE_CHECKING:
    from pathlib import Path

INSTANCE = "2\n100 50\n3\n60 20 2\n0 30 1\n\n40 10 4\n"


def test_items_are_services_and_the_bin_a_host(tmp_path: Path) -> None:
    path = tmp_path / "a.vbp"
    path.write_text(INSTANCE)
    found = vbp.read(str(path))
    assert found.services == (
        Service("item 1", 2, {"dimension 1": 60.0, "dimension 2": 20.0}),
        Service("item 2", 1, {"dimension 2": 30.0}),
        Service("item 3", 4, {"dimension 1": 40.0, "dimension 2": 10.0}),
    )
    assert found.hosts == (Host("bin", {"dimension 1": 100.0, "dimension 2": 50.0}),)
    assert found.broken == ()


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("2\n9 9\n2\n1 1 1\n1 1\n", BrokenLine(5, "it has 2 numbers, 3 are needed")),
        ("2\n9 9\n1\n1 -1 1\n", BrokenLine(4, "size 2 is -1, which is not a number of 0 or more")),
        (
            "2\n9 9\n1\n1 1 1.5\n",
            BrokenLine(4, "the number of items is '1.5', which is not a whole number"),
        ),
        (
            "2\n9 9\n1\n1 1 1\n2 2 2\n",
            BrokenLine(5, "it stands after the last of 1 kinds of items"),
        ),
        ("2\n9 9\n1\n0 0 1\n", BrokenLine(4, "all its sizes are 0")),
        ("2\n9 9\n2\n1 1 1\n", BrokenLine(5, "the file ends here, after 1 of 2 kinds of items")),
    ],
)
def test_broken_lines_are_reported_by_number(tmp_path: Path, text: str, broken: BrokenLine) -> None:
    path = tmp_path / "a.vbp"
    path.write_text(text)
    assert vbp.read(str(path)).broken == (broken,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2\n9 9\n", "it ends before the number of kinds of items"),
        ("cpu,memory\n1,2\n3,4\n", "the number of dimensions is 'cpu,memory'"),
        ("2\n9\n1\n1 1\n", "line 2 has 1 capacities for 2 dimensions"),
        ("0\n\n1\n1\n1\n", "capacities for 0 dimensions"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.vbp"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=f"is no .vbp instance: .*{reason}"):
        vbp.read(str(path))


def test_public_instances_need_no_more_volume_than_their_optimum(tmp_path: Path) -> None:
    data = public_data.folder("vectorpack")
    with (data / "Panigrahy_base_OPT.csv").open(newline="") as file:
        optima = {row["instance_name"]: row["OPT"] for row in csv.DictReader(file, delimiter="\t")}
    with tarfile.open(data / "Panigrahy_instances.tar.gz") as archive:
        members = sorted(each.name for each in archive if each.name.endswith(".vbp"))[::100]
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            path = tmp_path / "instance.vbp"
            path.write_bytes(content.read())
            found = vbp.read(str(path))
            assert found.broken == ()
            optimum = optima.get(member.rpartition("/")[2].removesuffix(".vbp"), "")
            if optimum.isdigit():
                assert volume(found.services, found.hosts[0]) <= int(optimum)
    assert len(members) > 1


def volume(services: tuple[Service, ...], host: Host) -> int:
    """Return the number of bins that the sum of the items needs."""
    return max(
        math.ceil(sum(each.replicas * each.requests.get(name, 0.0) for each in services) / size)
        for name, size in host.capacity.items()
    )

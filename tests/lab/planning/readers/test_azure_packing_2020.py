"""Azure's trace for packing: VMs at the last request, on the machine for most of them."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import azure_packing_2020

if TYPE_CHECKING:
    from collections.abc import Sequence

VM_TYPES = [
    (0, 1, 16, 0.5, 0.25, None, 0.125, 0.1),
    (1, 1, 17, 0.25, 0.125, None, 0.0, 0.1),
    (2, 2, 16, 0.1, 0.2, 0.0, 0.05, 0.0),
    (3, 3, 17, 0.5, 0.5, 0.0, 0.0, 0.0),
    (4, 4, 16, 1.5, 0.5, 0.0, 0.0, 0.0),
]
VMS = [  # vmId, tenantId, vmTypeId, priority, starttime, endtime
    (1, 1, 1, 0, -20.0, None),
    (2, 1, 1, 0, 1.0, 60.0),
    (3, 1, 1, 1, 2.0, 3.0),
    (4, 1, 1, 1, 13.5, 14.0),
    (5, 2, 2, 0, 13.9, 13.95),
    (6, 2, 3, 0, 1.0, None),
    (7, 2, 3, 0, 1.5, None),
    (8, 2, None, 0, 1.0, None),
    (9, 2, 2, 0, "soon", None),
    (10, 2, 2, 0, 1.0, 13.9),
    (11, 2, 2, 0, 2.0, None),
    (12, 2, 2, 0, 3.0, 90),
]


def write(path: Path, vms: Sequence[tuple[object, ...]]) -> str:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE vmType (id INTEGER, vmTypeId INTEGER, machineId INTEGER, core REAL,"
            " memory REAL, hdd REAL, ssd REAL, nic REAL)"
        )
        database.execute(
            "CREATE TABLE vm (vmId INTEGER, tenantId INTEGER, vmTypeId INTEGER, priority INTEGER,"
            " starttime REAL, endtime REAL)"
        )
        database.executemany("INSERT INTO vmType VALUES (?, ?, ?, ?, ?, ?, ?, ?)", VM_TYPES)
        database.executemany("INSERT INTO vm VALUES (?, ?, ?, ?, ?, ?)", vms)
        database.commit()
    return str(path)


def test_vms_at_the_last_request_are_counted_by_type_and_priority(tmp_path: Path) -> None:
    found = azure_packing_2020.read(write(tmp_path / "a?.sqlite", VMS))
    size = {"core_share": 0.5, "memory_share": 0.25, "ssd_share": 0.125, "nic_share": 0.1}
    assert found.services == (
        Service("VM type 1, priority 0", 2, size),
        Service("VM type 1, priority 1", 1, size),
        Service(
            "VM type 2, priority 0",
            3,
            {"core_share": 0.1, "memory_share": 0.2, "ssd_share": 0.05},
        ),
    )
    names = ("core_share", "memory_share", "hdd_share", "ssd_share", "nic_share")
    assert found.hosts == (Host("machine 16", dict.fromkeys(names, 1.0)),)
    missing = "vm: its type, priority, start or end is missing, or no number"
    assert found.broken == (
        BrokenLine(4, "vmType: core is 1.5, which is not a share of a machine"),
        BrokenLine(8, missing),
        BrokenLine(9, missing),
        BrokenLine(6, "vm: this and 1 more of type 3 need another machine"),
    )


def test_a_trace_without_vms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="has no VM that exists at the end"):
        azure_packing_2020.read(write(tmp_path / "a.sqlite", []))


def test_another_file_and_another_database_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_text("vmId,tenantId\n" * 100)
    with pytest.raises(InvalidConfig, match="is not Azure's trace for packing: file is not a data"):
        azure_packing_2020.read(str(path))
    other = tmp_path / "b.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE t (a)")
    with pytest.raises(InvalidConfig, match="no such table: vmType"):
        azure_packing_2020.read(str(other))


def test_a_folder_and_a_compressed_file_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="is a folder: name the SQLite file in it"):
        azure_packing_2020.read(str(tmp_path))
    path = tmp_path / "a.sqlite.gz"
    path.write_bytes(gzip.compress(bytes(1000)))
    with pytest.raises(InvalidConfig, match=r"not a database\. Name its SQLite file, unpacked\."):
        azure_packing_2020.read(str(path))


def test_rows_without_a_use_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sqlite", [(1, 1, 9, 0, float("inf"), None), (2, 1, 9, 0, 1.0, None)])
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM vmType")
        database.execute("INSERT INTO vmType VALUES (1, 9, 16, 0, 0, 0.5, 0.5, 0.5)")
        database.commit()
    with pytest.raises(InvalidConfig, match="row 1: vmType: it has neither CPU nor memory"):
        azure_packing_2020.read(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE vmType SET core = 0.5")
        database.commit()
    found = azure_packing_2020.read(path)
    assert [service.replicas for service in found.services] == [1]
    assert [line.number for line in found.broken] == [1]


def test_a_damaged_schema_is_one_sentence(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.sqlite", VMS))
    content = path.read_bytes()
    assert b"CREATE TABLE vmType" in content
    path.write_bytes(content.replace(b"CREATE TABLE vmType", b"CREATE TABL\xff vmType"))
    with pytest.raises(InvalidConfig, match=r"is not Azure's trace for packing: .*, unpacked\."):
        azure_packing_2020.read(str(path))

"""Machines from RVTools: tables of several versions as CSV, and workbooks."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import rvtools

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 2.0**20
NEW = (
    "VM", "Powerstate", "Template", "SRM Placeholder", "PowerOn", "CPUs", "Memory", "NICs",
    "Provisioned MiB", "In Use MiB", "Annotation", "Datacenter", "Cluster", "Host",
)  # fmt: skip
VHOST = ("Host", "Datacenter", "Cluster", "in Maintenance Mode", "# CPU", "# Cores", "# Memory")


def service(name: str, cpus: float, memory_mib: float, disk_mib: float = 0.0) -> Service:
    requests = {"cpus": cpus, "memory_bytes": memory_mib * MIB}
    return Service(name, 1, {**requests, "disk_bytes": disk_mib * MIB} if disk_mib else requests)


def test_the_table_of_a_new_version(tmp_path: Path) -> None:
    path = tmp_path / "RVTools_tabvInfo.csv"
    path.write_text(
        ",".join(NEW) + "\n"
        'web,poweredOn,False,False,x,2,4096,1,40960,1000,"two\nlines, quoted",DC,C,h1\n'
        "off,poweredOff,False,False,,2,4096,1,40960,1000,,DC,C,h1\n"
        "base,poweredOn,True,False,,2,4096,1,40960,1000,,DC,C,h1\n"
        "twin,poweredOn,False,True,,2,4096,1,40960,1000,,DC,C,h1\n"
        "web,PoweredOn,False,False,x,1,2048,1,1024,1000,,DC,C,h2\n"
        "bad,poweredOn,False,False,x,two,2048,1,1024,1000,,DC,C,h2\n"
        "none,poweredOn,False,False,x,0,2048,1,1024,1000,,DC,C,h2\n"
        "short,poweredOn,False,False,x,1\n"
    )
    found = rvtools.read(str(path))
    assert found.services == (service("web", 2, 4096, 40960), service("web (2)", 1, 2048, 1024))
    assert found.hosts == ()
    assert found.broken == (
        BrokenLine(8, "CPUs is 'two', which is not a number"),
        BrokenLine(9, "none has no CPU or no memory"),
        BrokenLine(10, "Memory is missing"),
    )


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("VM;Powerstate;CPUs;Memory;Provisioned MB", "web;poweredOn;2;4.096;40.960"),
        ('"VM","CPUs","Memory","In Use MB"', '"web","2","4,096","40,960"'),
        ("vm\tpowerstate\tcpus\tmemory\tin use mib\tprovisioned mib", "web\t\t2\t4096\t7\t40960"),
        ("VM;CPUs;Memory;Provisioned MiB", "web;2;4\u00a0096;40\u202f960"),
        ("VM;CPUs;Memory;Provisioned MiB", "web;2;4.096,0;40960,00"),
        ("VM,CPUs,Memory,Provisioned MiB", 'web,2,"4,096.0",40960.000'),
        ("sep=;\nVM;CPUs;Memory;Provisioned MiB", "web;2;4096;40960"),
        ("\n,,\nVM,CPUs,Memory,Provisioned MiB", "web,2,4096,40960"),
        ("vInfoVMName,vInfoCPUs,vInfoMemory,vInfoInUse,vInfoProvisioned", "web,2,4096,7,40960"),
        ("VM,CPUs,Memory,Provisioned MiB,Memory,VM", "web,2,4096,40960,own,attributes"),
    ],
)
def test_older_versions_and_their_numbers(tmp_path: Path, heading: str, row: str) -> None:
    path = tmp_path / "vInfo.csv"
    path.write_text(f"{heading}\n{row}\n", encoding="utf-8-sig")
    assert rvtools.read(str(path)).services == (service("web", 2, 4096, 40960),)


def test_a_table_without_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vDisk.csv"
    path.write_text("VM,Disk,Capacity MiB\nweb,Hard disk 1,40960\n")
    with pytest.raises(InvalidConfig, match=r"is not from RVTools: it has no column 'cpus'\."):
        rvtools.read(str(path))


def write_workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> str:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    workbook.save(path)
    return str(path)


def test_a_workbook_has_machines_and_hosts(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 1, 2)
    path = write_workbook(
        tmp_path / "export.bin",
        {
            "vInfo": [
                NEW,
                ("web", "poweredOn", False, False, day, 2, 4096, 1, 40960, 1.5, None, "DC", "C"),
                ("tpl", "poweredOn", True, False, None, 2, 4096.0, 1, 40960, 1.5, None, "DC", "C"),
                ("db", "poweredOn", False, False, None, 4, 8192.0, 1, 40.125, 1, None, "DC", "C"),
                ("bad", "poweredOn", False, False, None, -4, 8192, 1, 1, 1, None, "DC", "C"),
            ],
            "vHost": [
                VHOST,
                ("h1", "DC1", "C", False, 2, 32, 262144),
                ("h2", "DC1", "C", False, 2, 32, 262144),
                ("h3", "DC2", "C", False, 2, 32, 262144),
                ("h4", "DC2", "C", True, 2, 32, 262144),
                ("h5", "DC2", "C", False, 2, None, 262144),
            ],
        },
    )
    found = rvtools.read(path)
    assert found.services == (service("web", 2, 4096), service("db", 4, 8192))
    size = {"cpus": 32.0, "memory_bytes": 262144 * MIB}
    assert found.hosts == (
        Host("32 cores, 262144 MiB", size, count=2, zone="DC1"),
        Host("32 cores, 262144 MiB", size, count=1, zone="DC2"),
    )
    assert found.broken == (
        BrokenLine(5, "CPUs is -4, which is not a number of 0 or more"),
        BrokenLine(6, "vHost: # Cores is missing"),
    )


def test_fractions_of_a_workbook_are_no_thousands(tmp_path: Path) -> None:
    row = ("db", "poweredOn", False, False, None, 4, 8192, 1, 40.125)
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW, row]})
    assert rvtools.read(path).services == (service("db", 4, 8192, 40.125),)


def test_another_workbook_and_another_archive_are_refused(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"Sheet1": [("VM", "CPUs", "Memory")]})
    with pytest.raises(InvalidConfig, match="it has no table vInfo"):
        rvtools.read(path)
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(InvalidConfig, match="is not a workbook of RVTools"):
        rvtools.read(str(tmp_path / "b.xlsx"))


def test_a_workbook_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW]})
    content = (tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "a.xlsx").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidConfig, match="is not a workbook of RVTools"):
        rvtools.read(path)


def test_a_wrong_size_of_a_table_hides_no_column(tmp_path: Path) -> None:
    row = ("web", "poweredOn", False, False, None, 2, 4096, 1, 40960)
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW, row]})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b'<dimension ref="A1:N2"' in files[sheet]
    files[sheet] = files[sheet].replace(b'<dimension ref="A1:N2"', b'<dimension ref="A1"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert rvtools.read(path).services == (service("web", 2, 4096, 40960),)


@pytest.mark.parametrize(
    ("text", "disk"), [("0.125", 0.125), ("1,234.567", 1234.567), ("1.234,567", 1234.567)]
)
def test_a_fraction_is_not_a_number_with_its_thousands_apart(
    tmp_path: Path, text: str, disk: float
) -> None:
    path = tmp_path / "vInfo.csv"
    path.write_text(f"VM;CPUs;Memory;Provisioned MiB\nweb;2;4096;{text}\n")
    assert rvtools.read(str(path)).services == (service("web", 2, 4096, disk),)


def test_states_that_are_not_known_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "vInfo.csv"
    path.write_text(
        "VM,CPUs,Memory,Template,Powerstate\n"
        "on,2,4096,,Powered On\noff,2,4096,False,suspended\n"
        "tpl,2,4096,WAHR,poweredOn\ncut,2,4096,False,power"
    )
    found = rvtools.read(str(path))
    assert found.services == (service("on", 2, 4096),)
    assert found.broken == (
        BrokenLine(4, "Template is 'WAHR', which is neither True nor False"),
        BrokenLine(5, "Powerstate is 'power', which is not poweredOn, poweredOff or suspended"),
    )


def test_a_workbook_with_other_names_of_its_tables_and_columns(tmp_path: Path) -> None:
    path = write_workbook(
        tmp_path / "a.xlsx",
        {
            "vSource": [("Name",)],
            "tabvInfo": [("vInfoVMName", "vInfoCPUs", "vInfoMemory"), (7, 2, 4096)],
            "RVTools_tabvHost": [
                ("vHostName", "vHostNumCpuCores", "vHostMemorySize", "vHostinMaintenanceMode"),
                ("h1", 32, 262144, False),
                ("h2", 32, 262144, True),
                ("h3", 0, 0, False),
            ],
        },
    )
    found = rvtools.read(path)
    assert found.services == (service("7", 2, 4096),)
    assert [(host.name, host.count) for host in found.hosts] == [("32 cores, 262144 MiB", 1)]
    assert found.broken == (BrokenLine(4, "vHost: h3 has no cores or no memory"),)


def test_the_table_without_the_column_is_named(tmp_path: Path) -> None:
    row = ("web", "poweredOn", False, False, None, 2, 4096)
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW, row], "vHost": [("Host",)]})
    with pytest.raises(InvalidConfig, match="its table vHost has no column '# cores'"):
        rvtools.read(path)


def test_other_workbooks_and_damage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512))
    with pytest.raises(
        InvalidConfig, match=r"a password or of the old format XLS: save it as XLSX"
    ):
        rvtools.read(str(path))
    (tmp_path / "a.csv").write_bytes(b"\x1f\x8b\x08" + bytes(50))
    with pytest.raises(
        InvalidConfig, match="no column 'vm': the compressed data is cut off or dam"
    ):
        rvtools.read(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        ("xl/workbook.xml", b"<bookViews>", b"<bookViews><x"),
        ("xl/workbook.xml", b"activeTab", b"activeTxb"),
        ("xl/worksheets/sheet1.xml", b"baseColWidth", b"baseColWidtx"),
        ("xl/worksheets/sheet1.xml", b'r="B2"', b'r="2B"'),
    ],
)
def test_xml_that_no_workbook_has_is_one_sentence_or_line(
    tmp_path: Path, member: str, old: bytes, new: bytes
) -> None:
    row = ("web", "poweredOn", False, False, None, 2, 4096, 1, 40960)
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW, row]})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert old in files[member]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.replace(old, new) if name == member else content)
    with pytest.raises(InvalidConfig):
        rvtools.read(path)


@pytest.mark.parametrize(
    ("magic", "offset", "value"),
    [
        (b"PK\x01\x02", 8, 1),  # a password
        (b"PK\x01\x02", 10, 99),  # an unknown compression
        (b"xl/workbook.xml", len("xl/workbook.xml"), 0xFF),  # damage in the compressed data
    ],
)
def test_damaged_and_encrypted_members_are_one_sentence(
    tmp_path: Path, magic: bytes, offset: int, value: int
) -> None:
    path = Path(write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW]}))
    content = bytearray(path.read_bytes())
    place = -1
    while (place := content.find(magic, place + 1)) >= 0:
        content[place + offset] = value
    path.write_bytes(content)
    with pytest.raises(InvalidConfig, match="is not a workbook of RVTools"):
        rvtools.read(str(path))


@pytest.mark.filterwarnings("error")
def test_what_no_table_needs_is_no_warning(tmp_path: Path) -> None:
    row = ("web", "poweredOn", False, False, datetime.datetime(2026, 1, 2), 2, 4096)
    path = write_workbook(tmp_path / "a.xlsx", {"vInfo": [NEW, row]})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sheet, day = "xl/worksheets/sheet1.xml", b"<v>46024</v>"
    assert day in files[sheet]
    files[sheet] = files[sheet].replace(day, b"<v>99999999999</v>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert rvtools.read(path).services == (service("web", 2, 4096),)

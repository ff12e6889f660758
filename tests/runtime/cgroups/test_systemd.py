"""Properties for systemd, and the encoding of D-Bus messages."""

from __future__ import annotations

import pytest

from runtime import ContainerError
from runtime.cgroups import dbus, systemd, systemd_properties
from runtime.spec.config import Cpu, Memory, Pids, Resources

MESSAGE = [
    ("sba(sv)", ["x.scope", 1, [("TasksMax", ("t", 7)), ("AllowedCPUs", ("ay", b"\1\2"))]],
     ["x.scope", 1, [("TasksMax", 7), ("AllowedCPUs", [1, 2])]]),
    ("a(sa(sv))", [[]], [[]]),
    ("yau", [1, [2, 3]], [1, [2, 3]]),
    ("ao(ix)g", [["/a"], (-1, -2), "a{sv}"], [["/a"], (-1, -2), "a{sv}"]),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "values", "expected"), MESSAGE)
def test_values_come_back_as_they_went(
    signature: str, values: list[object], expected: list[object]
) -> None:
    assert dbus.unpacked(signature, dbus.packed(signature, *values)) == expected


def test_numbers_are_aligned_as_the_specification_says() -> None:
    """The size of an array does not count the padding before its first element."""
    assert dbus.packed("yat", 1, [2]) == bytes([1, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("system.slice:docker:1", ("system.slice", "docker-1.scope")),
        ("a-b.slice::1", ("a-b.slice", "1.scope")),
        ("user.slice:libpod:box", ("user.slice", "libpod-box.scope")),
    ],
)
def test_names_are_made_of_the_path(path: str, expected: tuple[str, str]) -> None:
    assert systemd.names(path, "box") == expected


def test_without_a_path_the_names_are_our_own() -> None:
    parent, unit = systemd.names("", "box")
    assert parent in {"system.slice", "user.slice"}
    assert unit == "tonnage-box.scope"


@pytest.mark.parametrize("path", ["/a/b", "a:b", "slice:a:b", "a.slice:b:", "a.slice:b:c:d"])
def test_a_path_that_names_no_scope_is_refused(path: str) -> None:
    with pytest.raises(ContainerError, match=r"linux\.cgroupsPath"):
        systemd.names(path, "box")


def test_limits_are_told_in_systemds_words() -> None:
    resources = Resources(
        memory=Memory(limit=10, swap=30, reservation=5),
        cpu=Cpu(shares=1024, quota=33_333, cpus="0,8-9", mems="0"),
        pids=Pids(limit=-1),
    )
    assert dict(systemd_properties.properties(resources, is_v2=True)) == {
        "MemoryMax": ("t", 10),
        "MemoryLow": ("t", 5),
        "MemorySwapMax": ("t", 20),
        "CPUWeight": ("t", 100),
        "CPUQuotaPerSecUSec": ("t", 340_000),
        "AllowedCPUs": ("ay", b"\1\3"),
        "AllowedMemoryNodes": ("ay", b"\1"),
        "TasksMax": ("t", (1 << 64) - 1),
    }
    assert dict(systemd_properties.properties(resources, is_v2=False)) == {
        "MemoryLimit": ("t", 10),
        "CPUShares": ("t", 1024),
        "CPUQuotaPerSecUSec": ("t", 340_000),
        "TasksMax": ("t", (1 << 64) - 1),
    }

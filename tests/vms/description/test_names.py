"""Names of machines and snapshots: checked before they become paths and options."""

from __future__ import annotations

import os

import pytest

from vms import Connection, MachineError
from vms.description import names
from vms.operations import snapshots


@pytest.mark.parametrize("name", ["a", "web-1", "a.b_c+d", "0", "n" * 48])
def test_a_name_is_letters_digits_and_a_few_signs(name: str) -> None:
    names.refuse(name)
    names.refuse_snapshot(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/a", "-a", ".a", "a b", "a\n", "häß", "a,b", "a:b", "a%b", "n" * 65,
     "a\0b", os.fsdecode(b"\xe9")],
)  # fmt: skip
def test_a_name_that_could_be_a_path_or_an_option_is_refused(
    name: str, connection: Connection
) -> None:
    box = connection.find("test")
    for refused in (
        lambda: names.refuse(name),
        lambda: box.rename(name),
        lambda: snapshots.create(box, name),
    ):
        with pytest.raises(MachineError, match=r"must be up to|must be UTF-8"):
            refused()
    assert box.name == "test"

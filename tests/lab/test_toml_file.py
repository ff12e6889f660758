from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import toml_file
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('name = "主机"\n', encoding="utf-8-sig")
    assert toml_file.read(path) == {"name": "主机"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"name = ", "is not valid TOML: Invalid value"),
        (b"\xff\xfe", "is not valid TOML: 'utf-8' codec"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value"),
        (b"a = " + b"9" * 5000, "is not valid TOML: a number has too many digits."),
        (b"a = " + b"[" * 5000, "is not valid TOML: it is nested too deeply."),
        (None, "can't be read: No such file or directory."),
    ],
)
def test_a_fault_is_one_sentence_with_the_path(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidConfig) as error:
        toml_file.read(path)
    assert str(error.value).startswith(f"{path} {fault}")
    assert "\n" not in str(error.value)

"""Users of an image: by names, by numbers, and in files that are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InvalidConfig
from runtime.images.lookup import User, user


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\n"
        "app:x:7:8::/home/app:/bin/sh\n"
        "odd:x:²:8::/:/bin/sh\n"
        "text:x:9:staff::/:/bin/sh\n"
        "huge:x:99999999999999999999:0::/:/bin/sh\n",
        encoding="utf-8",
    )
    (tmp_path / "etc/group").write_text("staff:x:50:app\nodd:x:²:\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", User(0, 0, "/root", ())),
        ("app", User(7, 8, "/home/app", (50,))),
        ("7", User(7, 8, "/home/app", (50,))),
        ("app:staff", User(7, 50, "/home/app", ())),
        ("1000", User(1000, 0, "/", ())),
        ("1000:4294967294", User(1000, 4294967294, "/", ())),
    ],
)
def test_a_user_is_found_by_name_or_number(layer: Path, text: str, expected: User) -> None:
    assert user([layer], text) == expected


@pytest.mark.parametrize(
    "text", ["nobody", "²", "odd", "text", "huge", "4294967295", "9" * 5000, "app:none", "app:²"]
)
def test_a_user_that_can_not_be_is_refused(layer: Path, text: str) -> None:
    with pytest.raises(InvalidConfig):
        user([layer], text)

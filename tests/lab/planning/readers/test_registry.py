"""The registry of readers: every name has a module with a function `read`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import NotFound
from lab.planning.readers import registry


@pytest.mark.parametrize("name", [name for name in registry.NAMES if name != "libvirt"])
def test_every_reader_refuses_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file .*/none\."):
        registry.read(name, str(tmp_path / "none"))


def test_an_unknown_reader_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match=r"no reader 'excel'; choose from alibaba-2017, .*, vbp\."):
        registry.read("excel", "x")


def test_the_page_has_every_reader() -> None:
    page = Path(__file__).parents[4] / "docs/planning-readers.md"
    headings = [line for line in page.read_text().splitlines() if line.startswith("## ")]
    for name in registry.NAMES:
        assert any(f"`{name}`" in heading for heading in headings), name

"""Paths in descriptions: refused if XML can't contain them, else quoted."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vms import Disk, Share
from vms.description.constraints import objections

LATIN = os.fsdecode(b"/caf\xe9/i.qcow2")


@pytest.mark.parametrize(
    "path", [LATIN, "/a\x01b", "/a\ufffe"], ids=["latin", "control", "nonchar"]
)
def test_a_path_that_xml_cannot_contain_is_refused(path: str) -> None:
    for wrong in (Disk(Path(path)), Share(Path(path), "tag")):
        (sentence,) = objections(wrong)
        assert "must be UTF-8 without control characters, not" in sentence
        sentence.encode()  # fails for a message that can't be printed


def test_a_path_is_quoted_in_xml() -> None:
    path = "/a b/c,d%41&<e>'\"#?ü.qcow2"
    assert list(objections(Disk(Path(path)))) == []
    element = Disk(Path(path)).element(0, "q35", boots=False)
    source = ET.fromstring(ET.tostring(element)).find("source")
    assert source is not None
    assert source.get("file") == path

"""`tonnage image disk`: names and refusals; disks are made in tests/system/lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import parser
from lab.cli.image.disk import _default_output, _refuse_used
from lab.errors import AlreadyExists, LabError


@pytest.mark.parametrize(
    ("reference", "kind", "name"),
    [
        ("app", None, "app.qcow2"),
        ("localhost:5000/team/app:1.2", "qcow2", "app-1.2.qcow2"),
        ("app@sha256:abc", "raw", "app-sha256-abc.img"),
        ("oci-archive:/tmp/app.tar", None, "app.tar.qcow2"),
        ("oci:/tmp/layout/", None, "layout.qcow2"),
    ],
)
def test_the_file_is_named_for_the_image(reference: str, kind: str | None, name: str) -> None:
    assert _default_output(reference, kind) == Path(name)


def test_a_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "app.qcow2"
    _refuse_used(path)
    path.symlink_to("nowhere")
    with pytest.raises(AlreadyExists, match="remove it, or name another file with -o"):
        _refuse_used(path)
    with pytest.raises(LabError, match="nowhere/else is not a directory"):
        _refuse_used(tmp_path / "nowhere/else/app.qcow2")


def test_a_size_has_a_unit_and_a_reference_is_not_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = parser.build().parse_args(["image", "disk", "app:1", "--size", "4G"])
    assert (options.reference, options.size, options.format) == ("app:1", 4 << 30, None)
    for words, sentence in (
        (["image", "disk", "app:1", "--size", "4"], "'4' is not a size: write 512M or 20G"),
        (["image", "disk", ""], "the reference is empty"),
        (["run", "startup", "--image", " "], "the reference is empty"),
        (["table", "--ready-timeout", "0"], "must be more than 0"),
    ):
        with pytest.raises(SystemExit):
            parser.build().parse_args(words)
        assert sentence in capsys.readouterr().err

"""Text on terminals of any encoding, and JSON documents that stay complete."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

import pytest

from lab.cli import standard_streams


def printed(text: str | dict[str, str], encoding: str) -> bytes:
    """Return the bytes on a standard output of that encoding."""
    standard_streams.prepare()
    output = io.BytesIO()
    with (
        io.TextIOWrapper(output, encoding=encoding, errors=standard_streams.PLAIN) as terminal,
        redirect_stdout(terminal),
    ):
        if isinstance(text, dict):
            standard_streams.print_json(text)
        else:
            print(text, end="")
        terminal.flush()
        return output.getvalue()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "1.5 × – 2 … µs 容".encode()),
        ("iso-8859-1", "1.5 × - 2 ... µs ?".encode("iso-8859-1")),
        ("ascii", b"1.5 x - 2 ... us ?"),
    ],
)
def test_missing_characters_are_replaced_by_similar_ones(encoding: str, expected: bytes) -> None:
    assert printed("1.5 × – 2 … µs 容", encoding) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "ascii"])
def test_a_document_is_the_same_in_any_encoding(encoding: str) -> None:
    document = {"name": "× 容 \N{GRINNING FACE}"}
    assert json.loads(printed(document, encoding).decode(encoding)) == document

"""Tables of the page as CSV."""

from __future__ import annotations

import csv
import io
from urllib.parse import unquote

from lab.report.data_table import Cell, from_texts


def test_a_table_of_words_is_its_own_csv() -> None:
    made = from_texts("n", "caption", ("a", "b"), [("1,5", 'say "x"'), ("é", "")])
    kind, _, content = made.link.partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    rows = list(csv.reader(io.StringIO(unquote(content).removeprefix("\N{BYTE ORDER MARK}"))))
    assert rows == [["a", "b"], ["1,5", 'say "x"'], ["é", ""]]
    assert [column.heading for column in made.columns] == ["a", "b"]


def test_a_csv_has_a_byte_order_mark_only_where_excel_needs_it() -> None:
    assert from_texts("n", "caption", ("a",), [("4.41",)]).link.endswith(",a%0A4.41%0A")
    assert from_texts("n", "caption", ("a",), [("µs",)]).link.endswith(",%EF%BB%BFa%0A%C2%B5s%0A")


def test_a_cell_has_a_key_only_where_its_text_is_another() -> None:
    assert Cell("22", 22).sort_key == ""
    assert Cell("1,022", 1022).sort_key == "1022"
    assert Cell("0.83 ms", 0.000825891524).sort_key == "0.000825891524"
    assert Cell("", 0).sort_key == "0"
    assert Cell("—", 1.0, is_unknown=True).sort_key == ""

"""Texts as HTML: escaped after their translation, and doubled only where languages differ."""

from __future__ import annotations

import datetime

from lab.language.message import Language, Message
from lab.report import glossary, markup, sections


def test_a_text_is_literal_in_every_language() -> None:
    assert markup.text("<b>&", markup.BOTH) == "&lt;b&gt;&amp;"


def test_a_text_stands_twice_only_where_its_translation_differs() -> None:
    shown = markup.text(Message("instance"), markup.BOTH)
    assert shown == (
        "<span class=lang-en lang=en>instance</span><span class=lang-zh lang=zh>实例</span>"
    )
    assert markup.text(Message("instance"), (Language.CHINESE,)) == "实例"
    assert markup.text("crun", markup.BOTH) == "crun"


def test_fields_are_escaped_after_their_translation() -> None:
    shown = markup.text(Message("{count} more figures", count="<i>"), markup.BOTH)
    assert "<i>" not in shown
    assert "另有 &lt;i&gt; 项数据" in shown


def test_markup_of_the_code_becomes_html_and_html_does_not() -> None:
    shown = markup.marked("**a** `b<` [c](#term-c) [d](javascript:x) <u>", markup.ENGLISH)
    assert shown == (
        '<strong>a</strong> <code>b&lt;</code> <a href="#term-c">c</a> [d](javascript:x) &lt;u&gt;'
    )


def test_a_date_is_written_as_each_language_writes_it() -> None:
    shown = markup.day(datetime.date(2026, 11, 29), markup.BOTH)
    assert "29 November 2026" in shown
    assert "2026年11月29日" in shown


def test_texts_link_to_terms_that_exist_in_both_languages() -> None:
    anchors = {term.anchor for term in glossary.TERMS}
    for section in sections.SECTIONS:
        for part in section.parts:
            for paragraph in part.text:
                for language in Language:
                    shown = markup.marked(paragraph, (language,))
                    linked = {each.split('"')[0] for each in shown.split('href="#')[1:]}
                    assert linked <= anchors
                    assert "](" not in shown
                    assert "**" not in shown


def test_a_number_stays_beside_its_unit() -> None:
    shown = markup.text("4.41 ms, 1.10 × native, 3 rounds", markup.ENGLISH)
    assert shown == "4.41\u00a0ms, 1.10\u00a0× native, 3 rounds"

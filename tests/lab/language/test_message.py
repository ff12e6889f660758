"""Messages: English as they stand, another language by the catalogues."""

from __future__ import annotations

import copy
import pickle

import pytest

from lab.language import catalogue
from lab.language.message import (
    Language,
    Message,
    capitalized,
    clause,
    in_context,
    joined,
    recalled,
    shortened,
    translated,
)


@pytest.fixture(autouse=True)
def _chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {
        "{name} is ready": "{name} 已就绪",
        "the machine": "虚拟机",
        "{n:,} ran": "运行了 {n:,} 个",
    }
    monkeypatch.setattr(catalogue, "load", lambda _: words)


def test_a_message_is_its_english_text() -> None:
    message = Message("{name} is ready", name="container")
    assert message == "container is ready"
    assert translated(message, Language.ENGLISH) == "container is ready"


def test_fields_are_put_into_the_translation() -> None:
    assert translated(Message("{n:,} ran", n=8033), Language.CHINESE) == "运行了 8,033 个"


def test_a_field_that_is_a_message_is_translated_with_it() -> None:
    message = Message("{name} is ready", name=Message("the machine"))
    assert translated(message, Language.CHINESE) == "虚拟机已就绪"


def test_no_space_stands_between_chinese_letters() -> None:
    assert (
        translated(Message("{name} is ready", name="docker"), Language.CHINESE) == "docker 已就绪"
    )
    shown = translated(Message("{name} is ready", name="虚拟机（模拟）"), Language.CHINESE)
    assert shown == "虚拟机（模拟）已就绪"


def test_a_clause_has_no_full_stop_in_any_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", lambda _: {"{name} hung.": "{name} 停住了。"})
    hung = clause(Message("{name} hung.", name="vm"))
    assert hung == "vm hung"
    assert translated(hung, Language.CHINESE) == "vm 停住了"
    assert Message("It failed: {why}.", why=hung) == "It failed: vm hung."


def test_a_text_without_translation_stays_english() -> None:
    assert translated(Message("nobody knows {x}", x=1), Language.CHINESE) == "nobody knows 1"
    assert translated("the machine", Language.CHINESE) == "the machine"


def test_joined_texts_are_translated_one_by_one() -> None:
    message = joined("; ", [Message("the machine"), "vm", Message("{n:,} ran", n=2)])
    assert message == "the machine; vm; 2 ran"
    assert translated(message, Language.CHINESE) == "虚拟机; vm; 运行了 2 个"


def test_a_separator_that_is_a_message_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", lambda _: {", ": "、", "one": "一"})
    message = joined(Message(", "), [Message("one"), "vm"])
    assert message == "one, vm"
    assert translated(message, Language.CHINESE) == "一、vm"


def test_a_stored_text_is_translated_if_its_template_has_no_fields() -> None:
    assert translated(recalled("the machine"), Language.CHINESE) == "虚拟机"
    assert translated(recalled("{odd} text"), Language.CHINESE) == "{odd} text"


def test_copies_of_messages_are_translated_too() -> None:
    for message in (
        Message("{name} is ready", name=Message("the machine")),
        joined("; ", [Message("the machine"), "{brace}"]),
    ):
        for copied in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
            assert copied == message
            expected = translated(message, Language.CHINESE)
            assert translated(copied, Language.CHINESE) == expected


def test_braces_without_fields_are_kept() -> None:
    assert Message("a {brace}") == "a {brace}"


def test_a_context_tells_two_meanings_of_a_text_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", lambda _: {"disk": "硬盘使用", "resource\4disk": "磁盘"})
    resource = in_context("resource", "disk")
    assert resource == "disk"
    assert translated(resource, Language.CHINESE) == "磁盘"
    assert translated(Message("disk"), Language.CHINESE) == "硬盘使用"
    assert translated(in_context("other", "disk"), Language.CHINESE) == "disk"
    assert capitalized(resource) == "Disk"
    assert translated(capitalized(resource), Language.CHINESE) == "磁盘"


def test_a_message_is_shortened_in_each_language_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", lambda _: {"until it answers": "直到它应答为止"})
    whole = recalled("until it answers")
    cut = shortened(whole, 9)
    assert cut == "until it…"
    assert translated(cut, Language.CHINESE) == "直到它应…"
    assert shortened(whole, 16) == whole
    assert translated(shortened(whole, 14), Language.CHINESE) == "直到它应答为止"

"""SVG inside a page: text as text, languages, ids, size."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.language.message import Language, Message, joined
from lab.report import picture as pictures
from lab.report import style
from lab.report.picture import Picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(label: str = "response time", points: int = 3) -> Picture:
    with style.canvas():
        picture = Picture(figsize=(4, 2))
        axis = picture.subplots()
        axis.plot(range(points), range(points), "o", color="#0f766e")
        axis.set_title(picture.say(Message("response time") if label == "response time" else label))
        return style.describe(
            picture, Message("Memory per instance"), ["n=3"], Message("Start times")
        )


def test_text_is_text_and_the_drawing_has_no_title() -> None:
    svg = drawn().svg()
    words = ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert "response time" in words
    assert "Memory per instance" not in words
    assert "n=3" not in words
    assert ' role="img"' in svg
    assert 'aria-label="Start times"' in svg


def test_another_language_is_written_in_the_same_place() -> None:
    english, chinese = drawn().svg(), drawn().svg(Language.CHINESE)
    assert ">响应时间<" in chinese
    assert ">response time<" not in chinese
    assert 'aria-label="启动时间"' in chinese
    assert chinese.replace("响应时间", "response time").count("<text") == english.count("<text")


def test_both_languages_have_their_class_and_their_description() -> None:
    root = ElementTree.fromstring(drawn().bilingual_svg())
    labelled = {
        (each.get("class", "").split()[0], each.text)
        for each in root.iter(f"{SVG}text") if each.get("lang")
    }  # fmt: skip
    assert ("lang-en", "response time") in labelled
    assert ("lang-zh", "响应时间") in labelled
    described = [each.get("aria-label") for each in root if each.get("role") == "img"]
    assert described == ["Start times", "启动时间"]
    assert [each.get("aria-hidden") for each in root if each.tag == f"{SVG}g"] == ["true"]


def test_ids_and_classes_belong_to_one_picture() -> None:
    with style.canvas():
        other = drawn()
        other.frame(Message("Bytes on disk"), joined("", []), Message("Bytes on disk"))
    names = [
        set(re.findall(r'(?:id|class)="(p[0-9a-f]{6}[^" ]*)', each.svg()))
        for each in (drawn(), other)
    ]
    assert names[0]
    assert not names[0] & names[1]
    for each in (drawn().svg(), other.svg()):
        ids = re.findall(r' id="([^"]+)"', each)
        referred = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', each)
        assert {first or second for first, second in referred} <= set(ids)
        assert len(ids) == len(set(ids))


def test_a_page_can_replace_the_colours() -> None:
    svg = drawn().svg()
    assert "var(--container,#0f766e)" in svg
    assert "var(--grid,#e5e7eb)" in svg


@pytest.mark.parametrize("name", ["a<b>&c", "$x^2$", "a_b", "ünïcode", 'say "hi"', "名字"])
def test_any_name_is_text(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font without Chinese letters; a page has its own
        svg = drawn(name).svg()
    assert name in ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter()]


def test_the_same_picture_is_the_same_text() -> None:
    assert drawn().svg() == drawn().svg()


def test_without_a_font_a_picture_stays_english(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("matplotlib.font_manager.get_font_names", lambda: ["DejaVu Sans"])
    with pytest.warns(UserWarning, match="fonts-noto-cjk"):
        drawn().write(tmp_path / "a.png", Language.CHINESE)
    drawn().write(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_name_has_its_letters_in_an_english_picture(tmp_path: Path) -> None:
    if not pictures._chinese_font():
        pytest.skip("no font with Chinese letters: install fonts-wqy-microhei")
    picture = drawn("名字")
    before = picture.svg()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as "Glyph 21517 missing from font(s) DejaVu Sans."
        picture.write(tmp_path / "a.png")
        picture.write(tmp_path / "a.png", Language.CHINESE)
    assert picture.svg() == before


def test_only_names_in_chinese_letters_look_for_a_font(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail() -> str:
        raise AssertionError

    monkeypatch.setattr(pictures, "_chinese_font", fail)
    drawn("ünïcode").write(tmp_path / "a.png")
    with pytest.raises(AssertionError):
        drawn("名字").write(tmp_path / "a.png")


def test_a_notebook_shows_title_and_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    data, metadata = drawn()._repr_mimebundle_()
    assert "Memory per instance" in data["image/svg+xml"]
    assert metadata["image/svg+xml"]["alt"] == "Start times"
    monkeypatch.setenv("TONNAGE_LANG", "zh_CN.UTF-8")
    assert pictures._asked_for() is Language.CHINESE
    monkeypatch.setenv("TONNAGE_LANG", "tlh")
    assert pictures._asked_for() is Language.ENGLISH


def test_lines_are_as_wide_as_the_picture() -> None:
    text = "one two three four five six seven eight nine ten"
    lines = pictures.wrapped(text, 60.0, 8.0)
    assert " ".join(lines) == text
    assert len(lines) > 3
    assert all(pictures._width(line, 8.0, bold=False) <= 60 for line in lines)
    assert "".join(pictures.wrapped("一二三四五六七八九十", 40.0, 8.0)) == "一二三四五六七八九十"
    assert len(pictures.wrapped("一二三四五六七八九十", 40.0, 8.0)) == 2
    assert pictures.wrapped("一二三四（五六）", 40.0, 8.0) == ["一二三四", "（五六）"]

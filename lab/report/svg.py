"""SVG that is part of a page: compact, its text as text, in one language or in two.

Matplotlib writes a file that stands alone. A page needs less: no metadata, short numbers, ids that
no other picture has, one list of fonts, and colours that the page's own style can replace.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FONTS = "'DejaVu Sans',Verdana,sans-serif"
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_SPACE = re.compile(r"\s+")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_UPRIGHT = re.compile(r"rotate\(-?0 .*\)")
_FAMILY = re.compile(r"font-family: [^;]*;? ?|font: ")
_MOST_DECIMALS = 1  # of a point, which is a seventieth of an inch


@dataclass(frozen=True, slots=True)
class Label:
    """A text in one language, and the class of its elements; empty where there is one language."""

    text: str
    css_class: str = ""
    language: str = ""


def inline(
    drawn: str,
    view: tuple[float, float, float, float],
    name: str,
    descriptions: Sequence[Label],
    texts: Mapping[str, Sequence[Label]],
    colours: Mapping[str, str],
) -> str:
    """Return Matplotlib's SVG as an element of a page.

    `view` is the visible part, in points. `name` begins all ids. `texts` maps a text of the drawing
    to its labels, `colours` a colour to the one that is written in its place.
    """
    root = ElementTree.fromstring(drawn)
    _remove_ballast(root)
    _shorten(root, name, colours)
    _label(root, texts)
    _share_styles(root, name)
    left, top, width, height = (round(each, _MOST_DECIMALS) for each in view)
    root.attrib.clear()
    root.attrib.update({
        "class": "picture", "viewBox": f"{left:g} {top:g} {width:g} {height:g}",
        "width": f"{width * 4 / 3:.0f}", "height": f"{height * 4 / 3:.0f}",
        "style": f"font-family:{FONTS};stroke-linejoin:round;max-width:100%;height:auto",
    })  # fmt: skip
    _describe(root, descriptions, view)
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r'xmlns:(ns\d+)="http://www.w3.org/2000/svg"', "", text)
    text = re.sub(r"(</?)ns\d+:", r"\1", text)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def _remove_ballast(root: ElementTree.Element) -> None:
    """Remove metadata, the background, ids that nothing refers to, and groups that say nothing."""
    kept = (f"{_SVG}path", f"{_SVG}clipPath")
    for child in list(root):
        holds = any(child.find(f".//{tag}") is not None for tag in kept)
        if child.tag in (f"{_SVG}metadata", f"{_SVG}defs") and not holds:
            root.remove(child)
    referred = {link[1:] for each in root.iter() if (link := each.get(_LINK))}
    referred |= {
        found for each in root.iter() for value in each.attrib.values()
        for found in _REFERENCE.findall(value)
    }  # fmt: skip
    for each in root.iter():
        each.text = each.text if each.tag == f"{_SVG}text" else None
        each.tail = None
        if each.get("id", "") not in referred:
            each.attrib.pop("id", None)
        if each.tag == f"{_SVG}g":  # of markers, which all lie inside
            each.attrib.pop("clip-path", None)
    _flatten(root)


def _flatten(parent: ElementTree.Element) -> None:
    """Replace each group without attributes by its children, all the way down."""
    children: list[ElementTree.Element] = []
    for child in list(parent):
        _flatten(child)
        if child.tag == f"{_SVG}g" and not child.attrib:
            children += list(child)
        else:
            children.append(child)
    parent[:] = children


def _shorten(root: ElementTree.Element, name: str, colours: Mapping[str, str]) -> None:
    """Shorten numbers, styles and ids; all ids begin with the name."""
    found = [each.get("id", "") for each in root.iter() if each.get("id")]
    ids = {old: f"{name}-{number}" for number, old in enumerate(found)}
    for each in root.iter():
        for key, value in list(each.attrib.items()):
            each.set(key, _short(key, value, ids, colours))
        if link := each.attrib.pop(_LINK, ""):
            each.set("href", f"#{ids[link[1:]]}")
        if _UPRIGHT.fullmatch(each.get("transform", "")):
            del each.attrib["transform"]


def _short(key: str, value: str, ids: Mapping[str, str], colours: Mapping[str, str]) -> str:
    if key == "id":
        return ids[value]
    if key in ("d", "points", "x", "y", "width", "height", "transform"):
        value = _NUMBER.sub(_rounded, value)
        value = _SPACE.sub(" ", value).strip()
        return re.sub(r" ?([MLCQzZ]) ?", r"\1", value) if key == "d" else value
    if key == "style":
        value = _FAMILY.sub("", value)
        value = _COLOUR.sub(lambda found: colours.get(found.group(), found.group()), value)
        value = re.sub(r"([:;]) ", r"\1", value)
    return _REFERENCE.sub(lambda found: f"url(#{ids[found.group(1)]})", value)


def _rounded(found: re.Match[str]) -> str:
    number = round(float(found.group()), _MOST_DECIMALS)
    return f"{number or 0.0:.1f}".removesuffix(".0")


def _share_styles(root: ElementTree.Element, name: str) -> None:
    """Write each style that several elements have once, as a class that only this picture has."""
    uses = Counter(each.get("style", "") for each in root.iter())
    shared = {
        style: f"{name}{number}"
        for number, (style, count) in enumerate(uses.most_common())
        if style and count > 1
    }
    for each in root.iter():
        if css_class := shared.get(each.get("style", "")):
            del each.attrib["style"]
            each.set("class", f"{each.get('class', '')} {css_class}".strip())
    rules = ElementTree.Element(f"{_SVG}style")
    rules.text = "".join(f".{css_class}{{{style}}}" for style, css_class in shared.items())
    root.insert(0, rules)


def _label(root: ElementTree.Element, texts: Mapping[str, Sequence[Label]]) -> None:
    """Put labels in place of the texts that are known, one element for each label."""
    for parent in list(root.iter()):
        children: list[ElementTree.Element] = []
        for child in parent:
            labels = texts.get(child.text or "") if child.tag == f"{_SVG}text" else None
            children += list(_labelled(child, labels)) if labels else [child]
        parent[:] = children


def _labelled(
    element: ElementTree.Element, labels: Sequence[Label]
) -> Iterator[ElementTree.Element]:
    if len({label.text for label in labels}) == 1:
        element.text = labels[0].text
        yield element
        return
    for label in labels:
        one = ElementTree.Element(element.tag, dict(element.attrib))
        one.text = label.text
        if label.css_class:
            one.set("class", label.css_class)
        if label.language:
            one.set("lang", label.language)
        yield one


def _describe(
    root: ElementTree.Element,
    descriptions: Sequence[Label],
    view: tuple[float, float, float, float],
) -> None:
    """Describe the picture for people who can't see it.

    With two languages, each description is that of a transparent area, so that the style that hides
    a language hides its description as well.
    """
    if len(descriptions) == 1:
        root.set("role", "img")
        root.set("aria-label", descriptions[0].text)
        if descriptions[0].language:
            root.set("lang", descriptions[0].language)
        return
    drawn = ElementTree.Element(f"{_SVG}g", {"aria-hidden": "true"})
    drawn[:] = list(root)
    left, top, width, height = (f"{round(each, _MOST_DECIMALS):g}" for each in view)
    root[:] = [
        ElementTree.Element(
            f"{_SVG}rect",
            {
                "role": "img", "class": each.css_class, "lang": each.language,
                "aria-label": each.text, "x": left, "y": top, "width": width, "height": height,
                "fill": "none",
            },
        )
        for each in descriptions
    ] + [drawn]  # fmt: skip

"""XML elements as expressions, so that a description reads like the XML that it becomes."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def element(
    tag: str, *children: ET.Element | None, text: object = None, **attributes: object
) -> ET.Element:
    """An element. Children and attributes that are None are left out; a bool is yes or no."""
    made = ET.Element(
        tag, {name: _word(value) for name, value in attributes.items() if value is not None}
    )
    made.text = None if text is None else str(text)
    made.extend(child for child in children if child is not None)
    return made


def printed(root: ET.Element) -> str:
    """The document, indented for people to read."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

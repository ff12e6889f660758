"""XML elements as expressions, so that code reads like the XML that it builds."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def element(
    tag: str, *children: ET.Element | None, text: object = None, **attributes: object
) -> ET.Element:
    """Return an element. Children and attributes that are None are omitted; a bool is yes or no."""
    root = ET.Element(
        tag, {name: _attribute(value) for name, value in attributes.items() if value is not None}
    )
    root.text = None if text is None else str(text)
    root.extend(child for child in children if child is not None)
    return root


def printed(root: ET.Element) -> str:
    """Return the document as indented text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _attribute(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

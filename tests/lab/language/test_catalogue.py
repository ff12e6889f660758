"""The catalogues: complete, without leftovers, and with the fields of their templates."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from pathlib import Path

from babel.messages import pofile

from lab.language import catalogue

LAB = Path(__file__).parents[3] / "lab"


def templates() -> dict[str, str]:
    """Return the templates of all messages in the code, each with the file that holds it."""
    found = {}
    for path in sorted(LAB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in {"Message", "in_context"}:
                words = node.args[: 2 if name == "in_context" else 1]
                where = f"{path.relative_to(LAB.parent)}:{node.lineno}"
                assert all(isinstance(each, ast.Constant) for each in words), f"{where}: no literal"
                texts = [str(each.value) for each in words if isinstance(each, ast.Constant)]
                found[catalogue.CONTEXT_END.join(texts)] = where
    return {**found, **descriptions_of_workloads()}


def descriptions_of_workloads() -> dict[str, str]:
    """Return what each workload of the lab does and what bounds it, with the file that says so."""
    return {
        str(workload[key]): path.name
        for path in sorted((LAB / "workloads").glob("*.toml"))
        for workload in tomllib.loads(path.read_text(encoding="utf-8")).values()
        for key in ("what", "bound-by")
    }


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_message_is_translated() -> None:
    chinese = catalogue.load("zh")
    missing = [
        f"{where}: {text}" for text, where in templates().items() if text and text not in chinese
    ]
    assert not missing, "\n".join(missing)


def test_every_translation_is_used() -> None:
    assert set(catalogue.load("zh")) <= set(templates())


def test_translations_have_the_fields_of_their_templates() -> None:
    for template, text in catalogue.load("zh").items():
        if re.search(r"\{\w", template):
            assert fields(text) == fields(template), template


def test_no_message_is_in_two_catalogues() -> None:
    seen: dict[str, Path] = {}
    for path in sorted(catalogue.FOLDER.rglob("*.po")):
        with path.open("rb") as file:
            entries = [
                catalogue.key(each) for each in pofile.read_po(file, abort_invalid=True) if each.id
            ]
        assert len(entries) == len(set(entries)), path
        for entry in entries:
            assert entry not in seen, f"{entry!r} is in {seen[entry]} and {path}"
            seen[entry] = path

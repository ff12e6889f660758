"""The form of docstrings: they begin with an imperative or a noun phrase, and say something.

ruff's D401 checks the imperative of functions as well.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FOLDERS = ("lab", "runtime", "vms", "benchmarks", "examples", "setup", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Words that begin a riddle or an indirect question instead of naming the subject.
FORBIDDEN = re.compile(r"(What|Whether|Who|How|Have|Let|It is|That)\b")
# "Create it.": a verb and a pronoun say no more than the name.
EMPTY = re.compile(r"\w+ (it|them|this|that|these|those|one)\.?$", re.IGNORECASE)


def docstrings(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and text of each docstring in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                line = 1 if isinstance(node, ast.Module) else node.lineno
                yield line, getattr(node, "name", path.stem), text


def repeats_name(name: str, text: str) -> bool:
    """Return True if the docstring has only the words of the name."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return len(words) > 0 and words == re.findall(r"[a-z0-9]+", name.lower())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_name_their_subject(path: Path) -> None:
    faults = [
        f"{path}:{line}: {name}: {text.splitlines()[0]}"
        for line, name, text in docstrings(path)
        if FORBIDDEN.match(text) or EMPTY.match(text) or repeats_name(name, text)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("size", "What it takes."),
        ("is_running", "Whether it runs."),
        ("create", "Create it."),
        ("remove_cgroups", "Remove cgroups."),
    ],
)
def test_the_rules_find_what_they_forbid(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'def {name}():\n    """{text}"""\n')
    with pytest.raises(AssertionError, match=name):
        test_docstrings_name_their_subject(path)

"""Write the notebooks from their text, and format both.

    python setup/notebooks.py [NAME …]

notebooks/NAME.md is the source. notebooks/NAME.ipynb has the same cells without outputs; its cells
are named by their content, so that the same text always gives the same file. ruff formats the code.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

FOLDER = Path(__file__).parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HEADER = """\
---
file_format: mystnb
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""


def main() -> None:
    """Write the named notebooks, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.md"))
    for name in (name for name in names if name != "README"):
        text = FOLDER / f"{name}.md"
        notebook = FOLDER / f"{name}.ipynb"
        nbformat.write(from_text(text.read_text(encoding="utf-8")), notebook)
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", notebook], check=True)
        formatted = nbformat.read(notebook, as_version=4)
        text.write_text(to_text(formatted), encoding="utf-8")
        nbformat.write(from_text(to_text(formatted)), notebook)


def from_text(text: str) -> Any:
    """Return the notebook of a MyST text, without outputs and with stable names of cells."""
    read = jupytext.reads(text, fmt="md:myst")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    names: set[str] = set()
    for cell in read.cells:
        tags = cell.metadata.get("tags")
        metadata = {"tags": [*tags]} if tags else {}
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while name in names:
            name += "-"
        names.add(name)
        is_code = cell.cell_type == "code"
        make: Any = nbformat.v4.new_code_cell if is_code else nbformat.v4.new_markdown_cell
        notebook.cells.append(make(cell.source, id=name, metadata=metadata))
    return notebook


def to_text(notebook: Any) -> str:
    """Return the MyST text of a notebook, whose header depends on no version."""
    written: str = jupytext.writes(notebook, fmt="md:myst")
    _, _, body = written.removeprefix("---\n").partition("\n---\n")
    return HEADER + body


if __name__ == "__main__":
    main()

"""A class's notebooks: a student's and a teacher's version, made from one source.

A source marks its cells by tags:

lang-en, lang-zh   only in that language
teacher            only in the teacher's version

A version has a first cell, tagged `student`, that sets the student and the language for the rest; a
cell for the answer of each question, in place of the source's example; and no outputs. The
teacher's also has the answers and their points. The metadata name the student, the notebook, the
run.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.classroom import students
from lab.classroom.class_run import RUN_VARIABLE
from lab.classroom.exercises import NOTEBOOKS, questions
from lab.errors import AlreadyExists, InvalidConfig, NotFound, ReportFailed
from lab.language import choice
from lab.language.message import Message, translated
from lab.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.classroom.exercises import Questions
    from lab.results.run_folder import Run

METADATA = "tonnage"
# What nbformat raises for other content, beside its ValidationError.
_NO_NOTEBOOK = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_CHECK = re.compile(r"\.check\(\s*(?:number\s*=\s*)?(\d+)")


def find(name: str) -> Path:
    """Return the path of a notebook by its name or its path. Raise NotFound."""
    for path in (Path(name), *(folder / f"{name}.ipynb" for folder in folders())):
        if path.suffix == ".ipynb" and path.is_file():
            return path
    raise NotFound(
        f"There is no notebook {name}: write a name such as near-native, or the path of a file"
        " .ipynb."
    )


def folders() -> list[Path]:
    """Return the folders that hold notebooks: in the working directory, beside the package."""
    return [path for path in (Path("notebooks"), CHECKOUT / "notebooks") if path.is_dir()]


def read(path: Path) -> Any:
    """Return the notebook in a file. Raise InvalidConfig if it is none."""
    import nbformat

    try:
        content = path.read_bytes()
        # JSON may be in UTF-16, or have a byte order mark, after an editor of another system.
        return nbformat.reads(content.decode(json.detect_encoding(content)), as_version=4)
    except OSError as error:
        raise NotFound(f"Can't read {path}: {error.strerror}.") from error
    except (*_NO_NOTEBOOK, nbformat.ValidationError) as error:
        raise InvalidConfig(f"{path} is not a notebook: {error}.") from error


def version(
    source: Any, name: str, run: Run, student: str, language: str = "both", *, teacher: bool = False
) -> Any:
    """Return the notebook of a student, or the teacher's version of it.

    `name` is that of the notebook's questions; a notebook without questions gets none.
    """
    from nbformat.v4 import new_code_cell

    student = students.checked(student)
    notebook = source.copy()
    notebook.cells = [
        _emptied(cell) for cell in source.cells if _belongs(cell, language, teacher=teacher)
    ]
    if name in NOTEBOOKS:
        notebook.cells = [cell for cell in notebook.cells if not only_checks(cell)]
        asked = questions(name, run, student, language)
        notebook.cells += _answer_cells(notebook.cells, asked)
        if teacher:
            notebook.cells.append(_solution(asked))
    first = new_code_cell(
        _settings(student, language, run), id="student", metadata={"tags": ["student"]}
    )
    notebook.cells.insert(0, first)
    notebook.metadata = {
        **source.metadata,
        METADATA: {
            "notebook": name,
            "student": student,
            "run": run.path.resolve().name,
            "language": language,
            "teacher": teacher,
        },
    }
    notebook.nbformat, notebook.nbformat_minor = 4, max(5, source.nbformat_minor)
    return notebook


def write(notebook: Any, path: Path) -> None:
    """Write a notebook into a new file. Raise AlreadyExists if it is there, ReportFailed."""
    import nbformat

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise ReportFailed(f"Can't make the folder {path.parent}: {reason}.") from error
    try:
        aside.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        _rename_new(aside, path)
    except FileExistsError as error:
        raise AlreadyExists(
            f"{path} is there already, perhaps with answers: move it away, or choose another --out."
        ) from error
    except OSError as error:
        raise ReportFailed(f"Can't write {path}: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)


def _rename_new(aside: Path, path: Path) -> None:
    """Rename a file to a name that is free. Raise FileExistsError."""
    try:
        os.link(aside, path)  # unlike a rename, it never replaces a file
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        path.touch(exist_ok=False)  # a file system without hard links, such as FAT's
        aside.rename(path)


def _belongs(cell: Any, language: str, *, teacher: bool) -> bool:
    tags = set(cell.metadata.get("tags", ()))
    if "student" in tags or ("teacher" in tags and not teacher):
        return False
    spoken = {tag.removeprefix("lang-") for tag in tags if tag.startswith("lang-")}
    return language == "both" or not spoken or language in spoken


def only_checks(cell: Any) -> bool:
    """Return True for a cell that checks answers and does nothing else: a source's example."""
    lines = cell.source.strip().splitlines() if cell.cell_type == "code" else []
    return bool(lines) and all(line.startswith("questions.check(") for line in lines)


def _emptied(cell: Any) -> Any:
    """Return a cell without outputs, which may hold another student's questions."""
    cell = cell.copy()
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell


def _settings(student: str, language: str, run: Run) -> str:
    """Return the code that says whose the notebook is, and about which run, unless that is set."""
    lines = [
        "import os",
        "",
        f'os.environ["{students.VARIABLE}"] = {student!r}',
        f'os.environ.setdefault("{RUN_VARIABLE}", {run.path.resolve().name!r})',
    ]
    if language != "both":
        lines.append(f'os.environ["{choice.VARIABLE}"] = {language!r}')
    return "\n".join(lines)


def _answer_cells(cells: Sequence[Any], asked: Questions) -> list[Any]:
    """Return cells for the questions, and for those answers that the notebook has no cell for."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    present = {int(number) for number in _CHECK.findall(code)}
    missing = [number for number in asked.numbers if number not in present]
    added = []
    if "exercises.questions(" not in code:
        head = Message("Questions about this run")
        words = " · ".join(translated(head, language) for language in asked.languages)
        added = [
            new_markdown_cell(f"## {words}", id="questions-heading"),
            new_code_cell(_questions_source(asked.notebook), id="questions"),
        ]
    return added + [
        new_code_cell(
            f"questions.check({number}, answer=None)",
            id=f"answer-{number}",
            metadata={"tags": ["answer"]},
        )
        for number in missing
    ]


def _questions_source(name: str) -> str:
    return (
        "from lab.classroom import exercises, class_run\n"
        "\n"
        f'questions = exercises.questions("{name}", class_run.load())\n'
        "questions"
    )


def _solution(asked: Questions) -> Any:
    from nbformat.v4 import new_markdown_cell

    return new_markdown_cell(asked.answers(), id="solution", metadata={"tags": ["teacher"]})


def name_of(path: Path, notebook: Any) -> str:
    """Return the name of a notebook's questions: in its code, else that of its file."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and (found := named_in(cell.source)):
            return found
    return path.stem


def syntax_tree(source: str) -> ast.Module | None:
    """Return the syntax tree of code; None if it is not Python. What Python warns of is fine."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def named_in(source: str) -> str | None:
    """Return the notebook that code asks the questions of; None without any."""
    tree = syntax_tree(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "questions" and node.args[0].value in NOTEBOOKS:
                return str(node.args[0].value)
    return None

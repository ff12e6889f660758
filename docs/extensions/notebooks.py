"""Notebooks as pages: the cells of one language, executed where the host allows it.

Cells are tagged `lang-en` or `lang-zh`. A notebook says in its first lines what it needs: one that
needs root is executed only by root, and only if TONNAGE_DOCS_ROOT is set; otherwise it is shown
without outputs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.classroom.class_run import COMMITTED, RUN_VARIABLE
from lab.language import choice

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "notebooks/"
INPUTS = (
    "lab/**/*.py",
    "lab/**/*.po",
    "lab/**/*.toml",
    "lab/**/*.html",
    "runtime/**/*.py",
    "vms/**/*.py",
    "results/*/*.csv",
    "results/*/*.json",
)
CELL = re.compile(r"(?m)^(?=\+\+\+(?: |$))")
TAG = re.compile(r"lang-(en|zh)")
NEEDS = re.compile(r"(?m)^\*Needs: (.*)$")
FENCE = re.compile(r"(?ms)^```\{code-cell\}.*?^```$\n?")


def only_language(text: str, language: str) -> str:
    """Return a notebook's text without the cells of other languages."""
    kept = []
    for block in CELL.split(text):
        tag = TAG.search(block.partition("\n")[0])
        if tag is None or tag[1] == language:
            kept.append(block)
        else:  # code that follows the cell without a separator stays
            kept += FENCE.findall(block)
    return "\n".join(part.rstrip("\n") + "\n" for part in kept)


def needs_root(text: str) -> bool:
    """Return True if a notebook does not say that it runs without root."""
    needs = NEEDS.search(text)
    return needs is None or "no root" not in needs[1]


def is_executable(text: str) -> bool:
    """Return True if this build executes a notebook."""
    return not needs_root(text) or (os.geteuid() == 0 and bool(os.environ.get("TONNAGE_DOCS_ROOT")))


def paired(folder: Path) -> list[str]:
    """Return the patterns of the notebooks whose text is also there as Markdown."""
    return [
        f"{FOLDER}{path.name}"
        for path in sorted(folder.glob("*.ipynb"))
        if path.with_suffix(".md").exists()
    ]


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Choose the cells of a notebook."""
    if docname.startswith(FOLDER):
        source[0] = only_language(source[0], app.config.language)


def not_executable(folder: Path) -> list[str]:
    """Return the patterns of the notebooks that this build only shows."""
    return [
        f"*{FOLDER}{path.name}"
        for path in sorted(folder.glob("*.*"))
        if not is_executable(path.read_text(encoding="utf-8"))
    ]


def digest_of(project: Path) -> str:
    """Return a digest of what outputs depend on beside the cells: our packages, and their runs."""
    digest = hashlib.sha256()
    for pattern in INPUTS:
        for path in sorted(project.glob(pattern)):
            if path.is_file():
                digest.update(f"{path.relative_to(project)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def choose_cache(app: Sphinx, _config: object) -> None:
    """Let cells compute their sentences in one language, and keep its outputs apart.

    The cache knows outputs by their cells, which are the same in all languages, and with every
    version of the packages that they import. Outputs of other versions are removed.
    """
    os.environ[choice.VARIABLE] = app.config.language
    os.environ[RUN_VARIABLE] = str(Path(app.confdir).parent / COMMITTED)
    caches = Path(app.config.nb_execution_cache_path, app.config.language)
    chosen = caches / digest_of(Path(app.srcdir).parent)
    for cache in caches.iterdir() if caches.is_dir() else ():
        if cache != chosen:
            shutil.rmtree(cache) if cache.is_dir() else cache.unlink()
    app.config.nb_execution_cache_path = str(chosen)


def read_again(
    app: Sphinx, env: Any, _added: set[str], _changed: set[str], _removed: set[str]
) -> list[str]:
    """Return the notebooks if they were read with another version of what they import."""
    digest = Path(app.config.nb_execution_cache_path).name
    if getattr(env, "tonnage_inputs", digest) == digest:
        env.tonnage_inputs = digest
        return []
    env.tonnage_inputs = digest
    return [name for name in env.found_docs if name.startswith(FOLDER)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", choose_cache, priority=100)  # before MyST-NB reads it
    app.connect("env-get-outdated", read_again)
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

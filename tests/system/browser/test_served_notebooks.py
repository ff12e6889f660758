"""`tonnage class serve` in a browser: JupyterLab opens a notebook and checks an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.browser.page_checks import watch
from tests.system.lab.class_servers import served

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, ViewportSize

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
PATIENCE_MS = 300_000  # JupyterLab and a kernel start, perhaps on a busy host
# JupyterLab draws only the cells that are in the window.
TALL: ViewportSize = {"width": 1280, "height": 2400}
KEPT = ("student", "questions", "answer-1")


def shortened(folder: Path) -> Path:
    """Write a notebook of the questions and one answer alone; return it."""
    made = json.loads((folder / "images.ipynb").read_text())
    made["cells"] = [
        cell
        for cell in made["cells"]
        if cell["id"] in KEPT or "exercises.questions(" in "".join(cell["source"])
    ]
    path = folder / "short.ipynb"
    path.write_text(json.dumps(made))
    return path


def run_all(page: Page) -> None:
    """Run every cell, once the kernel is there: before, JupyterLab asks which one to start."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE_MS)
    # In the status bar: the toolbar's indicator says idle before there is a kernel, too.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=PATIENCE_MS)
    assert not page.locator(".jp-Dialog").count()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def test_a_student_sees_questions_and_a_checked_answer(
    context: BrowserContext, tmp_path: Path
) -> None:
    with served(tmp_path) as (_, server):
        base, _, token = server["url"].partition("/lab?token=")
        path = shortened(Path(server["folder"]))
        page = context.new_page()
        page.set_viewport_size(TALL)
        errors: list[str] = []
        watch(page, errors)
        page.goto(f"{base}/lab/tree/{path.name}?token={token}", timeout=PATIENCE_MS)
        run_all(page)
        shown = page.locator(".jp-OutputArea-output")
        for text in ("There is no answer yet", "还没有作答", "Question 1", "第 1 题"):
            shown.filter(has_text=text).first.wait_for(timeout=PATIENCE_MS)
        # JupyterLab asks in its corner whether it may fetch news, unless the server says no.
        assert not page.get_by_text("Jupyter news").count()
        assert not page.locator(".jp-Dialog").count()
        page.keyboard.press("Control+s")
        page.locator(".jp-mod-current.jp-mod-dirty").wait_for(state="detached")
        page.close()
        assert not errors, "\n".join(errors)
    assert "There is no answer yet" in path.read_text()

"""The commands of the pages that need root, on the real host; long ones in a shorter form."""

from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks
from tests.docs.shell import run, workplace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PAGES_OF_ROOT = [page for page in PAGES if any(block.action == "root" for block in blocks(page))]
# Parts of commands, and what stands in for them.
SHORTER = {
    "--rounds 5": "--rounds 1 --wait",
    "--rounds 1\n": "--rounds 1 --wait\n",
    "--targets native,container,crun": "--targets native,container",
    "tonnage vm build": "tonnage vm build --help",  # tests/system/vms builds one
    "boot_machine.py": "start_container.py",  # tests/system/test_examples.py runs it
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES_OF_ROOT, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    workplace(tmp_path)
    for block in blocks(page):
        if block.action == "file":
            (tmp_path / block.argument).write_text(block.text, encoding="utf-8")
        if block.action == "root":
            assert run_shorter(block, tmp_path)


def run_shorter(block: Block, folder: Path) -> str:
    """Run a block in a shorter form, and return its output."""
    return run(block, folder, SHORTER)

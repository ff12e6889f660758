"""The browser leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from tests.system.browser.chromium import chromium


def processes_at(home: Path) -> list[str]:
    """Return the command lines of the processes that name a directory."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace"))
        except OSError:  # it has ended
            continue
    return [line for line in lines if str(home) in line]


def test_neither_a_process_nor_a_profile_is_left(tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        page = browser.new_page()
        page.goto("data:text/html,<title>open</title>")
        assert page.title() == "open"
        assert processes_at(tmp_path)
        assert list(tmp_path.glob("playwright*"))
    assert not processes_at(tmp_path)
    assert not list(tmp_path.glob("*playwright*"))

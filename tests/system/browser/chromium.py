"""Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Open a browser that keeps all its files, the profile too, below a directory.

    The test is skipped if Chromium or Playwright is not installed.
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed")
    connection = sync_playwright()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(home))  # Playwright's process makes the profile there
        playwright = connection.start()
    try:
        browser = playwright.chromium.launch(
            executable_path=program,
            chromium_sandbox=os.geteuid() != 0,  # with a sandbox, Chromium refuses to run as root
            args=["--disable-gpu", "--disable-component-update", "--no-first-run"],
            env={**os.environ, "HOME": str(home), "TMPDIR": str(home)},
        )
        try:
            yield browser
        finally:
            browser.close()
    finally:
        playwright.stop()

"""A requirement that is not met is a sentence without a traceback."""

from __future__ import annotations

import os

import pytest

from lab.hands_on import requirements


def test_without_root_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(requirements.Unmet, match=r"root is needed to fly, .* user 1000") as caught:
        requirements.require_root("fly")
    assert caught.value._render_traceback_() == [str(caught.value)]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    requirements.require_root("fly")


def test_what_is_missing_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(requirements.Unmet, match="no-such is not installed: apt-get install such"):
        requirements.require_program("no-such", "such")
    with pytest.raises(requirements.Unmet, match="module no_such is not installed: make setup"):
        requirements.require_module("no_such", "make setup")
    requirements.require_program("sh", "dash")
    requirements.require_module("os", "")

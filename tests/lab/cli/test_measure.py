"""The options of `tonnage run` and `table` as a request."""

from __future__ import annotations

import pytest

from lab import experiments
from lab.cli import parser
from lab.cli.measure import _measurable, _request


def test_a_table_of_an_image_leaves_out_what_needs_the_common_user_land() -> None:
    assert _measurable(None) == experiments.EXPERIMENTS
    left_out = set(experiments.EXPERIMENTS) - set(_measurable("app:1"))
    assert left_out == {name for name in experiments.EXPERIMENTS if experiments.image_refusal(name)}
    assert "performance" in left_out
    assert left_out.isdisjoint({"startup", "footprint", "density", "isolation"})


def test_an_image_and_its_timeout_are_part_of_the_request() -> None:
    words = ["run", "startup", "--image", "app:1", "--ready-timeout", "7"]
    request = _request(parser.build().parse_args(words), ("startup",))
    assert (request.image, request.ready_timeout_seconds) == ("app:1", 7.0)
    request = _request(parser.build().parse_args(["run", "startup"]), ("startup",))
    assert (request.image, request.ready_timeout_seconds) == (None, 60.0)


def test_the_help_of_run_has_an_example_of_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.build().parse_args(["run", "--help"])
    assert "--image nginx:1.27" in capsys.readouterr().out

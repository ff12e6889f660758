"""Runs: requests that are refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.errors import LabError
from lab.measurement import run
from lab.measurement.request import RunRequest

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (RunRequest(targets=("native", "native")), "target native is given twice"),
        (RunRequest(experiments=("startup", "startup")), "experiment startup is given twice"),
        (RunRequest(workloads=(Path("a"), Path("./a"))), "workload file .*/a is given twice"),
    ],
)
def test_duplicate_names_are_refused(request_: RunRequest, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        run.measure(request_)


def test_performance_needs_the_common_user_land_and_refuses_an_image() -> None:
    with pytest.raises(LabError, match="performance can't measure an image: it runs workloads"):
        run.measure(RunRequest(experiments=("startup", "performance"), image="app:1"))

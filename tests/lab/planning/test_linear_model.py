"""A model of HiGHS says nothing: a plan's standard output is its document alone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import numpy as np
from lab.planning import linear_model
model = linear_model.of_rows(np.zeros(1), np.ones(1))
model.addCol(-1.0, 0.0, 5.0, 1, np.zeros(1, dtype=np.int32), np.ones(1))
model.run()
assert list(model.getSolution().col_value) == [1.0]
"""


def test_a_new_process_makes_and_solves_a_model_in_silence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")

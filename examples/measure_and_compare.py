"""Measure the starts of two targets, and compare them round by round.

    sudo .venv/bin/python examples/measure_and_compare.py [ROUNDS]

The run's folder has the raw samples, the host and the settings: `tonnage show FOLDER` prints it.
"""

import sys

from lab import units
from lab.analysis import summary
from lab.measurement.request import RunRequest
from lab.measurement.run import measure
from lab.results import run_folder

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
request = RunRequest(
    experiments=("startup",), targets=("native", "container"), rounds=rounds, wait=True
)
outcome = measure(request)
for ratio in summary.ratios(run_folder.load(outcome.path)):
    interval = units.interval(ratio.low, ratio.high, "ratio")
    print(f"{ratio.metric}: {ratio.target} / {ratio.baseline} = {ratio.ratio:.2f} × ({interval})")
print(outcome.path)

"""A simulated calibration."""

from __future__ import annotations

from lab.calibration import model
from lab.calibration.model import Calibration, TargetChannels, Timer
from lab.host import disturbance
from lab.statistics.estimates import Estimate

UNKNOWN = Estimate(None, None, None, 0)


def calibration(right: int = 198) -> Calibration:
    """Return a calibration of two trials; the first is correct in `right` of 200 repetitions."""
    return Calibration(
        host="here",
        kernel="6.1",
        began="2026-11-24T12:00:00+00:00",
        seed=1,
        timer=Timer(1, 20, 40.0),
        added=[model.judge_overhead("a start", [(1.01e-3, 1e-3)] * 20)],
        trials=[
            model.judge_trial("native against itself", 0, None, [15] * 200, right, 0),
            model.judge_trial("a slow-down of 5%", 0.05, 0.05, [20] * 200, 200, 0),
        ],
        channels=[TargetChannels("microvm", Estimate(0.02, 0.01, 0.03, 40), UNKNOWN, UNKNOWN)],
        conditions=disturbance.Conditions(
            60.0, 0.0, 0.01, 0.5, 0.1, 0.0, 0.0, 0, None, None, "tsc", ""
        ),
    )

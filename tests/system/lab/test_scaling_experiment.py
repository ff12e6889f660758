"""The simulation beside a real small service: containers behind nginx, asked by wrk."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scaling import experiment

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_the_simulation_predicts_a_real_service(tmp_path: Path) -> None:
    """On a busy host, latencies may be longer than predicted, but not shorter."""
    if why := experiment.missing():
        pytest.skip(why)
    result = experiment.run(tmp_path, seconds=3.0, seed=1)
    assert len(result.service_seconds) == 5 * 50
    assert min(result.service_seconds) > 0
    assert [step.utilization for step in result.steps] == list(experiment.UTILIZATIONS)
    capacity = experiment.SERVERS / (sum(result.service_seconds) / len(result.service_seconds))
    for step in result.steps:
        asked = step.measured
        assert asked.failed == 0
        assert asked.requests > 50
        assert asked.per_second < 1.1 * capacity
        # Half a factor: 3 s are few requests, and other work on the host slows them down.
        assert 0.5 < asked.p50 / step.predicted["p50"] < 3
    first, last = result.steps[0].measured, result.steps[-1].measured
    assert last.per_second > 1.5 * first.per_second
    throughputs = result.throughputs
    assert list(throughputs) == [1, 2, 3, 4]
    assert throughputs[4] > 2.5 * throughputs[1]
    lines = experiment.table(result)
    assert sum(line.startswith("| ") for line in lines) == 2 + 4 + 2 + 4
    assert experiment.document(result)["servers"] == experiment.SERVERS

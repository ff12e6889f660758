"""Scenarios: every bad value is refused in one sentence with its key."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from lab.errors import InvalidConfig, LabError, NotFound
from lab.scaling import scenario
from lab.scaling.autoscalers.knative import Knative
from tests.lab.plausible import write as write_run
from tests.lab.scaling.scenarios import PEAK, load, write

CLUSTER = """
[cluster]
nodes = 2
instances-per-node = 10
max-nodes = 5
node-start = { distribution = "fixed", value = "1 min" }
"""


def test_a_scenario_is_read_with_its_defaults(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert made.name == "peak"
    assert made.duration == 120
    assert made.table.objective_share == 0.99
    assert made.table.seed == 1
    assert made.table.autoscaler == Knative()
    assert made.arrivals.peak == (30.0, 60.0)
    assert made.service.mean_seconds == 0.1
    assert [variant.name for variant in made.variants] == ["container", "machine"]
    assert [variant.price for variant in made.variants] == [0.5, 0.0]
    assert made.emulated == ()


def test_a_scenario_goes_to_other_processes(tmp_path: Path) -> None:
    made = load(tmp_path, PEAK + CLUSTER)
    again = pickle.loads(pickle.dumps(made))
    assert again.table == made.table
    assert again.node_start == made.node_start


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_runs_are_found_beside_the_scenario(tmp_path: Path, accelerator: str) -> None:
    write_run(tmp_path / "run", experiments=("startup", "burst"), accelerator=accelerator)
    start = '{ distribution = "burst", run = "run", target = "microvm" }'
    made = load(tmp_path, PEAK, start=start)
    assert made.variants[0].starts.largest_count == 4
    assert made.emulated == (("container",) if accelerator == "tcg" else ())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"duration": '"-1 min"'}, "duration: '-1 min' must be above 0"),
        ({"duration": '"0 s"'}, "duration: '0 s' must be above 0"),
        ({"duration": "120"}, "duration: 120 has no unit: choose from µs"),
        ({"duration": "nan"}, "duration: nan has no unit"),
        ({"duration": '"2 years"'}, "duration: '2 years' has the unknown unit 'years'"),
        ({"duration": '"400 d"'}, "duration: 3.456e+07 s is longer than a year"),
        ({"objective": '"1e999 s"'}, "objective: '1e999 s' is not a finite number"),
        ({"objective_share": '"120 %"'}, "objective-share: '120 %' must be at most 100 %"),
        ({"warm_up": '"2 min"'}, "warm-up: it must be shorter than the duration"),
        ({"replications": "0"}, "replications: Expected `int` >= 1"),
        ({"replications": "2.5"}, "replications: Expected `int`, got `float`"),
        ({"seed": "-1"}, "seed: Expected `int` >= 0"),
        ({"sed": "1"}, "Object contains unknown field `sed`"),
        ({"arrivals": '{ shape = "zigzag" }'}, "arrivals.shape: Invalid value 'zigzag'"),
        ({"arrivals": '{ base = "1 /s" }'}, "arrivals: Object missing required field `shape`"),
        ({"arrivals": '{ shape = "constant" }'}, "arrivals: Object missing required field `rate`"),
        (
            {"arrivals": '{ shape = "festival", base = "20 /s", at = "1 s", times = -20 }'},
            "arrivals.times: -20 must be above 0",
        ),
        (
            {"arrivals": '{ shape = "festival", base = "20 /s", at = "1 s", times = inf }'},
            "arrivals.times: inf is not a finite number",
        ),
        ({"arrivals": '{ shape = "constant", rate = "0 /s" }'}, "every rate is zero"),
        (
            {"arrivals": '{ shape = "constant", rate = "1e9 /s" }'},
            "arrivals: 1e+09 requests per second are more than 1e+07",
        ),
        (
            {"arrivals": '{ shape = "constant", rate = "1e6 /s" }', "duration": '"30 d"'},
            "arrivals: 2.6e+12 requests are more than 1e+10",
        ),
        (
            {"arrivals": '{ shape = "trace", file = "none.csv" }'},
            "arrivals.file: ",
        ),
        (
            {"service": '{ distribution = "exponential", mean = "0 s" }'},
            "service.mean: '0 s' must be above 0",
        ),
        (
            {"service": '{ distribution = "lognormal", median = "2 s", p95 = "1 s" }'},
            "service: p95 (1 s) is less than the median (2 s)",
        ),
        ({"instance": "{ concurrency = 0 }"}, "instance.concurrency: Expected `int` >= 1"),
        ({"instance": "{ queue = -1 }"}, "instance.queue: Expected `int` >= 0"),
        ({"instance": '{ patience = "0 s" }'}, "instance.patience: '0 s' must be above 0"),
        ({"autoscaler": '{ kind = "crystal ball" }'}, "autoscaler.kind: Invalid value"),
        (
            {"autoscaler": '{ kind = "knative", max-scale-up-rate = 1 }'},
            "autoscaler.max-scale-up-rate: 1 must be above 1",
        ),
        (
            {"autoscaler": '{ kind = "knative", target-utilization = 0.7 }'},
            "autoscaler.target-utilization: 0.7 has no unit: choose from %, as in 70 %",
        ),
        (
            {"autoscaler": '{ kind = "knative", tick = "1.5 s" }'},
            "autoscaler.tick: 1.5 s is not a whole number of seconds",
        ),
        (
            {"autoscaler": '{ kind = "knative", min-scale = 4, max-scale = 3 }'},
            "autoscaler.max-scale: it is less than min-scale",
        ),
        (
            {"autoscaler": '{ kind = "hpa", min-replicas = 4, max-replicas = 3 }'},
            "autoscaler.max-replicas: it is less than min-replicas",
        ),
        (
            {"autoscaler": '{ kind = "fixed", replicas = 1000000000 }'},
            "autoscaler.replicas: Expected `int` <= 1000000",
        ),
        (
            {"autoscaler": '{ kind = "knative", initial-scale = 1000000000 }'},
            "autoscaler.initial-scale: Expected `int` <= 1000000",
        ),
        ({"price": '"1e308 /h"'}, "variant[0].price: '1e308 /h' must be at most 1e+12 /h"),
        ({"name": '""'}, "variant[0].name: '' is not a printable name"),
        ({"name": '"machine"'}, "variant[1].name: 'machine' is given twice"),
        (
            {"start": '{ distribution = "fixed", value = "-40 s" }'},
            "variant[0].start.value: '-40 s' must be at least 0",
        ),
        ({"price": '"-1 /h"'}, "variant[0].price: '-1 /h' must be at least 0"),
        ({"price": '"1 /year"'}, "variant[0].price: '1 /year' has the unknown unit '/year'"),
    ],
)
def test_bad_values_are_refused(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    path = write(tmp_path, PEAK, **changes)
    with pytest.raises(InvalidConfig) as error:
        scenario.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert sentence in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("max-nodes = 1", "cluster.max-nodes: 1 is less than nodes (2)"),
        ("max-nodes = 1000000000", "cluster.max-nodes: Expected `int` <= 1000000"),
        ("instances-per-node = 0", "cluster.instances-per-node: Expected `int` >= 1"),
        ('scan-interval = "0.5 s"', "cluster.scan-interval: 0.5 s is not a whole number"),
        (
            'node-start = { distribution = "uniform", low = "2 s", high = "1 s" }',
            "cluster.node-start: high (1 s) is less than low (2 s)",
        ),
    ],
)
def test_bad_clusters_are_refused(tmp_path: Path, line: str, sentence: str) -> None:
    key = line.split(" =", maxsplit=1)[0]
    lines = [each for each in CLUSTER.splitlines() if not each.startswith(key)] + [line]
    with pytest.raises(InvalidConfig) as error:
        load(tmp_path, PEAK + "\n".join(lines) + "\n")
    assert sentence in str(error.value)


@pytest.mark.parametrize("key", ["duration", "objective", "arrivals", "service", "autoscaler"])
def test_missing_keys_are_named(tmp_path: Path, key: str) -> None:
    text = "\n".join(line for line in PEAK.splitlines() if not line.startswith(f"{key} ="))
    with pytest.raises(InvalidConfig, match=f"missing required field `{key}`"):
        load(tmp_path, text)


def test_a_scenario_has_a_variant(tmp_path: Path) -> None:
    text = PEAK.partition("[[variant]]")[0] + "variant = []\n"
    with pytest.raises(InvalidConfig, match=r"variant: Expected `array` of length >= 1"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"duration = ", "is not valid TOML: "),
        (b"\xff\xfe", "is not valid TOML: "),
        (b"duration = 1\nduration = 2\n", "is not valid TOML: "),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_files_that_are_no_scenario(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "peak.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidConfig) as error:
        scenario.load(path)
    assert sentence in str(error.value)


def test_a_broken_line_of_a_trace_is_named(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("0,100\n60,many\n")
    with pytest.raises(InvalidConfig, match=r"arrivals.file: .*load.csv, line 2: it is not two"):
        load(tmp_path, PEAK, arrivals='{ shape = "trace", file = "load.csv" }')


@pytest.mark.parametrize(("run", "error"), [("none", NotFound), ("run", InvalidConfig)])
def test_a_run_that_can_not_be_used(tmp_path: Path, run: str, error: type[LabError]) -> None:
    write_run(tmp_path / "run", experiments=("startup",))
    start = f'{{ distribution = "burst", run = "{run}", target = "container" }}'
    with pytest.raises(error):
        load(tmp_path, PEAK, start=start)

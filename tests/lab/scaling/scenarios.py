"""Scenarios for tests, written as TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.scaling import scenario

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scaling.scenario import Scenario

FESTIVAL = (
    'arrivals = { shape = "festival", base = "20 /s", at = "30 s", rise = "5 s", length = "20 s",'
    ' fall = "5 s" }'
)
PEAK = f"""\
duration = "2 min"
objective = "1 s"
replications = 3
{FESTIVAL}
service = {{ distribution = "exponential", mean = "100 ms" }}
instance = {{ concurrency = 10, patience = "10 s" }}
autoscaler = {{ kind = "knative" }}
[[variant]]
name = "container"
start = {{ distribution = "fixed", value = "20 ms" }}
price = "0.5 /h"
[[variant]]
name = "machine"
start = {{ distribution = "fixed", value = "40 s" }}
"""


def write(folder: Path, text: str = PEAK, **changes: str) -> Path:
    """Write a scenario, in which a change replaces the line of its key; return its path."""
    lines = text.splitlines()
    for key, value in changes.items():
        name = key.replace("_", "-")
        places = [place for place, line in enumerate(lines) if line.split(" =")[0] == name]
        if places:
            lines[places[0]] = f"{name} = {value}"
        else:
            lines.insert(0, f"{name} = {value}")
    path = folder / "peak.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def load(folder: Path, text: str = PEAK, **changes: str) -> Scenario:
    """Return a scenario."""
    return scenario.load(write(folder, text, **changes))

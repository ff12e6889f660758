"""A run with other samples than those that were read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from lab.results.run_folder import Run


def with_samples(run: Run, samples: pd.DataFrame, **changes: Any) -> Run:
    """Return the run with the samples of a frame in place of its own."""
    columns = {str(name): list(values) for name, values in samples.to_dict("list").items()}
    return replace(run, sample_columns=columns, **changes)

"""Linear and integer models of HiGHS that print nothing and use one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

if TYPE_CHECKING:
    from lab.planning.instance import FloatArray


class _Silent(highspy.Highs):
    """A model that is silent before its constructor ends: from HiGHS 1.16 on, that prints."""

    def enableCallbacks(self) -> None:  # noqa: N802  # HiGHS's own name; its constructor calls it
        self.setOptionValue("output_flag", False)
        untyped: Any = super()
        untyped.enableCallbacks()


def of_rows(lower: FloatArray, upper: FloatArray) -> Any:
    """Return a model with rows of these bounds and no column."""
    untyped: Any = _Silent
    highs = untyped()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    nothing = np.zeros(0, dtype=np.int32)
    starts = np.zeros(len(lower), dtype=np.int32)
    highs.addRows(len(lower), lower, upper, 0, starts, nothing, np.zeros(0))
    return highs

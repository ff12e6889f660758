"""Exit codes of `tonnage`.

0        done
1        a measurement failed (the others are stored), a requirement is not met, the output can't
         be written, or a verb with several names failed for some of them
2        bad usage, or the host can't do what was requested
128 + n  ended by signal n
"""

from __future__ import annotations

import signal

DONE = 0
MEASUREMENT_FAILED = OUTPUT_FAILED = SOME_FAILED = 1
BAD_USAGE = 2
INTERRUPTED, OUTPUT_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE

"""The `tonnage` command as a module: `python -m lab`."""

from __future__ import annotations

import sys

from lab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

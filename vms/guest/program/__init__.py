"""The static program of C that runs in tiny guests and containers."""

from pathlib import Path

SOURCES = Path(__file__).parent

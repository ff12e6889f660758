"""Sources of the payload, the static C program that runs in guests and containers."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
